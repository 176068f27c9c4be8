#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/container_options.h"
#include "builder/environment.h"
#include "cnb/lifecycle/exit_codes.h"
#include "oci/spec/image_config.h"

namespace locald::cnb {

/// How the writable folders of the phases' containers are named, for all of an app (a project
/// cannot be called so); "" for all apps.
std::string phase_container_prefix(const std::string& app);

/// A line that a phase wrote. `text` is valid during the call.
struct PhaseLine {
  std::uint64_t time_ns;  ///< CLOCK_REALTIME when it was read
  std::string_view text;
};

/// Runs the phases of one build, each in a container of its own upon the builder's
/// layers, by the same way as every service: bundle, shim, runc. Such a container has the build
/// user, no capabilities, no environment but the one given here, and a writable folder
/// that goes with it.
///
/// Blocking; for a job's thread. One build, one runner, one thread.
class PhaseRunner {
 public:
  struct Options {
    builder::Environment& environment;
    std::string app;                  ///< names instances and containers
    std::vector<std::string> lowers;  ///< the builder's layers, what is added to it on top
    std::string lower_base;
    oci::ImageConfig image;  ///< the builder's
    std::string facts_file;
    std::uint32_t uid = 0, gid = 0;  ///< who builds
    std::map<std::string, std::string> env;
    std::vector<builder::VolumeMount> mounts;  ///< of every phase; of Kind::own
    std::string log_dir;                       ///< all that the phases write, one after the other
    std::stop_token stop;
    std::chrono::steady_clock::time_point deadline;
    std::chrono::milliseconds limit;  ///< what the deadline was made of, for the message
  };
  explicit PhaseRunner(Options options) : options_(std::move(options)) {}

  /// Runs one phase to its end.
  /// @param mounts   Of this one alone, besides the options'; of Kind::own.
  /// @param on_line  Each line of its output, while it runs.
  /// @return how long it took, its container's start and end included; for another
  ///         exit code than 0 explain_exit()'s error; Errc::cancelled and Errc::timed_out when
  ///         everything of it is dead; Errc::invalid_input where the builder has no such phase.
  Result<std::chrono::milliseconds> run(Phase phase, const std::vector<std::string>& arguments,
                                        const std::vector<builder::VolumeMount>& mounts,
                                        const std::function<void(const PhaseLine&)>& on_line);

  /// The exit code of the last phase; -1 where none is known.
  int last_code() const noexcept { return last_code_; }

 private:
  Options options_;
  int last_code_ = -1;
};

}  // namespace locald::cnb
