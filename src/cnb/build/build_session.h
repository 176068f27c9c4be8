#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "cnb/build/build_inputs.h"
#include "cnb/build/build_log.h"
#include "cnb/build/phase_runner.h"
#include "cnb/jobs.h"
#include "cnb/source/source_index.h"
#include "cnb/store/app_store.h"
#include "cnb/store/generation.h"

namespace locald::cnb {

/// One build under way: its folder (AppStore::build), its phases, what they said and how
/// long they took. Both ways to build (strict_build.h, hybrid_build.h) are sequences of calls on
/// it. Blocking; one thread. Destroying it leaves the folder: the holder of the app's lock removes
/// it.
///
///     build/workspace   the staged source     -> /workspace
///     build/layers                            -> /layers
///     build/platform    env, bindings         -> /platform (read-only)
///     build/tmp                               -> /tmp
class BuildSession {
 public:
  BuildSession(builder::Environment& environment, const AppStore& store, const BuildInputs& inputs,
               const builder::PrepareContext& context, std::uint64_t number);

  /// What else a back end wants made, for the build user. Paths are relative to the app's folder.
  struct Extra {
    std::vector<std::string> folders;          ///< one that is there already gets its owner
    std::map<std::string, std::string> files;  ///< path -> content
    std::string previous_image;  ///< a layout's folder (previous_image.h); "" for none
  };
  /// Makes the build's folders, and copies the source. `source` is scanned again where it changes
  /// under our hands, and is afterwards what was copied.
  Result<void> begin(SourceIndex& source, Extra extra);

  /// Runs a phase; on failure the session's failure() says all that is known.
  /// @param mounts  For this phase alone, besides the build's own folders. Detect and build run
  ///                what buildpacks and the app bring along: they get nothing more.
  Result<void> run(Phase phase, const std::vector<std::string>& arguments,
                   const std::vector<builder::VolumeMount>& mounts = {});

  /// What buildpacks wrote into the app's live folders: nobody will see it.
  Result<std::vector<std::string>> hidden_by_live() const;

  /// Notes how long something took that is locald's own phase instead of the lifecycle's.
  void note_time(const std::string& name, std::chrono::steady_clock::time_point since);
  void tell(const std::string& phase, const std::string& item = {});

  /// What every generation of this session begins as.
  Generation new_generation() const;
  /// All times, once there is nothing more to note.
  BuildTimes times() const;

  /// For people and programs, after an error: {phase, exit_code, buildpack, detect:[…], tail:[…],
  /// log}. `phase` is one of locald's own too ("stage", "restore", "commit"), which has no exit
  /// code.
  Json failure() const;
  /// The same as text: the detect table or the last lines; "" where there is nothing to say.
  std::string failure_text() const;

  builder::Environment& environment() const { return environment_; }
  const AppStore& store() const { return store_; }
  const BuildInputs& inputs() const { return inputs_; }
  const builder::PrepareContext& context() const { return context_; }
  const std::string& log_dir() const { return log_dir_; }
  std::string folder(const char* name) const { return store_.build() + "/" + name; }
  /// The app for a worker's job, with the ids that the build user has on disk.
  Result<JobApp> job_app() const;

 private:
  Result<void> make_runner();

  builder::Environment& environment_;
  const AppStore& store_;
  const BuildInputs& inputs_;
  const builder::PrepareContext& context_;
  std::uint64_t number_;
  std::string log_dir_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point deadline_;
  std::optional<PhaseRunner> runner_;
  BuildLog log_;
  BuildTimes times_;
  std::optional<Phase> failed_;
  std::string doing_;  ///< what tell() said last
};

}  // namespace locald::cnb
