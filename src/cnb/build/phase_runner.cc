#include "cnb/build/phase_runner.h"

#include <algorithm>
#include <csignal>
#include <optional>
#include <utility>

#include "base/log/log_reader.h"
#include "base/loop/event_loop.h"
#include "base/strings.h"
#include "builder/assembly.h"
#include "builder/storage.h"
#include "runtime/instance_meta.h"
#include "runtime/process_runtime.h"

namespace locald::cnb {
namespace {

using Clock = std::chrono::steady_clock;

/// Of what all phases of a build write; the oldest goes first.
constexpr std::uint64_t kMaxLog = 128u << 20;
constexpr int kLinesATurn = 1000;

/// Between the signal and the kill, for a phase that is to end.
constexpr std::chrono::seconds kGrace{2};

std::string seconds(std::chrono::milliseconds time) {
  const std::string whole = std::to_string(time.count() / 1000);
  const std::string rest = std::to_string(time.count() % 1000 / 100);
  return whole + (rest == "0" ? "" : "." + rest) + " s";
}

/// A phase's container is assembled as every other one is.
class PhaseSource final : public builder::BundleSource {
 public:
  PhaseSource(const PhaseRunner::Options& options, builder::ContainerOptions container,
              std::string key)
      : options_(options), container_(std::move(container)), key_(std::move(key)) {}

  Result<runtime::ContainerBundle> prepare(const std::string& destination,
                                           const builder::PrepareContext& context) override {
    return builder::assemble({.environment = options_.environment,
                              .options = container_,
                              .container_key = key_,
                              .stamp = "phase",
                              .lowers = options_.lowers,
                              .lower_base = options_.lower_base,
                              .image = options_.image,
                              .facts_file = options_.facts_file},
                             destination, context);
  }
  std::string fingerprint() const override { return {}; }

 private:
  const PhaseRunner::Options& options_;
  builder::ContainerOptions container_;
  std::string key_;
};

builder::ContainerOptions container_options(const PhaseRunner::Options& options, Phase phase,
                                            const std::vector<std::string>& arguments,
                                            const std::vector<builder::VolumeMount>& mounts) {
  builder::ContainerOptions out;
  out.project = "build";
  out.hostname = "build";
  out.entrypoint = {"/cnb/lifecycle/" + std::string(binary_of(phase))};
  out.command = arguments;
  out.env = options.env;
  out.user = std::to_string(options.uid) + ":" + std::to_string(options.gid);
  out.workdir = "/layers";
  out.mounts = options.mounts;
  out.mounts.insert(out.mounts.end(), mounts.begin(), mounts.end());
  out.cap_drop = {"ALL"};
  return out;
}

/// One phase under way, on a loop of its own.
class Running {
 public:
  Running(runtime::ServiceHandle& handle, LogReader reader,
          const std::function<void(const PhaseLine&)>& on_line)
      : handle_(handle), reader_(std::move(reader)), on_line_(on_line) {}

  /// Until nothing of it is left and all it wrote has been told.
  Result<runtime::ExitStatus> finish(const PhaseRunner::Options& options) {
    EventLoop::Handle output = loop_.watch_readable(reader_.fd(), [this] { tell_some(); });
    handle_.listen(loop_, {.started = [](int) {},
                           .exited =
                               [this](const runtime::ExitStatus& exit) {
                                 exit_ = exit;
                                 loop_.stop();
                               }});
    const std::stop_callback cancelled(options.stop, [this] { loop_.post([this] { end(); }); });
    EventLoop::Handle late = loop_.after(options.deadline - Clock::now(), [this] {
      timed_out_ = true;
      end();
    });
    loop_.run();
    output.reset();
    TRY(std::move(problem_));
    while (TRY(tell(kLinesATurn))) {
    }
    if (options.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    if (timed_out_)
      return Error(Errc::failed,  // a second time it would take as long
                   "not done when the build's limit of " + seconds(options.limit) + " was over")
          .with_hint("give the build more time: build = { timeout = \"2h\" }");
    return *exit_;
  }

 private:
  void end() { (void)handle_.stop(SIGTERM, kGrace); }

  /// A part of the output that can be read: a phase that writes faster than this reads must not
  /// keep the limit or a cancellation from being heard.
  void tell_some() {
    if (more_posted_) return;
    const auto more = tell(kLinesATurn);
    if (!more) {
      if (problem_) problem_ = Result<void>(more.error());
    } else if (*more) {
      more_posted_ = true;
      loop_.post([this] {
        more_posted_ = false;
        tell_some();
      });
    }
  }

  /// @return whether there may be more.
  Result<bool> tell(int lines) {
    LogLine line;
    for (; lines > 0; --lines) {
      if (!TRY(reader_.next(line))) return false;
      if (on_line_) on_line_({line.time_ns, line.text});
    }
    return true;
  }

  runtime::ServiceHandle& handle_;
  LogReader reader_;
  const std::function<void(const PhaseLine&)>& on_line_;
  EventLoop loop_;
  std::optional<runtime::ExitStatus> exit_;
  Result<void> problem_;
  bool timed_out_ = false, more_posted_ = false;
};

}  // namespace

std::string phase_container_prefix(const std::string& app) {
  return "build~" + (app.empty() ? app : app + ".");
}

Result<std::chrono::milliseconds> PhaseRunner::run(
    Phase phase, const std::vector<std::string>& arguments,
    const std::vector<builder::VolumeMount>& mounts,
    const std::function<void(const PhaseLine&)>& on_line) {
  const auto begin = Clock::now();
  last_code_ = -1;
  runtime::ProcessRuntime& runtime = *TRY(options_.environment.runtime());
  runtime::InstanceSpec instance;
  instance.id = random_hex(6);
  instance.nonce = random_hex(16);
  instance.name = "build/" + options_.app + " " + std::string(binary_of(phase));
  instance.meta =
      runtime::InstanceMeta{.kind = runtime::InstanceMeta::Kind::build, .app = options_.app}
          .to_text();
  instance.log_dir = options_.log_dir;
  instance.log_max_bytes = kMaxLog;
  const std::string key = phase_container_prefix(options_.app) + instance.id;
  PhaseSource source(options_, container_options(options_, phase, arguments, mounts), key);
  builder::PrepareContext context;
  context.stop = options_.stop;

  const auto work = [&]() -> Result<runtime::ExitStatus> {
    LogReader reader = TRY(
        LogReader::open({{.dir = options_.log_dir, .from = LogReader::end_of(options_.log_dir)}},
                        {.follow = true}));
    const auto handle = TRY(runtime.run_container(instance, source, context));
    return Running(*handle, std::move(reader), on_line).finish(options_);
  };
  Result<runtime::ExitStatus> exit = work();
  const Result<void> cleaned = runtime.clean(instance.id, instance.nonce);
  (void)builder::discard_container(options_.environment, key);  // swept when the build is over
  const std::string where(to_string(phase));
  if (!exit) return std::move(exit).error().with_context(where);
  TRY(Result<void>(cleaned).context(where));

  if (exit->never_ran)
    return Error(Errc::invalid_input, where + ": " + exit->reason)
        .with_hint("is the image a whole builder, with /cnb/lifecycle/" +
                   std::string(binary_of(phase)) + " in it?");
  if (exit->signal)
    return Error(Errc::failed, where + " was killed by signal " + std::to_string(*exit->signal))
        .with_hint("the kernel does that when memory runs out: see `dmesg`");
  if (!exit->code)
    return Error(Errc::failed, where + ": how it ended is unknown (" + exit->reason + ")");
  last_code_ = *exit->code;
  if (last_code_ != 0) return explain_exit(phase, last_code_);
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
}

}  // namespace locald::cnb
