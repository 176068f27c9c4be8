#pragma once
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "cnb/app.h"
#include "cnb/store/generation.h"

namespace locald::cnb {

struct BuildResult {
  Generation generation;
  bool built = false;  ///< false: nothing had changed, and nothing ran
  std::string reason;  ///< why it was built: "src/a.js changed", "first build"
  std::vector<std::string> notices;
};

/// What a failed build leaves for programs (BuildSession::failure()); null where it never came to a
/// phase.
struct BuildFailure {
  Json details;
};

/// Makes sure that the app is built from what is there now:
///
///     resolve inputs ── images missing? ──> pulled
///     scan the source (stat cache) ──> fingerprint
///       │  the newest generation has it ──> done, nothing runs
///       │  only the run image is another ──> rebased, nothing runs
///     build, by the real phases or by ours where that is equal ──> a new generation
///     later, in the background: synced; copies for the next build; old generations removed
///
/// Blocking; for a job's thread, which is aside (job_pool.h) while it waits and builds. One build
/// of an app at a time, whoever asks: the second finds what the first made; and no more builds at
/// once than Environment::builds() lets in. After an error, cancelled too, the earlier generations
/// are as they were.
/// @param again    Builds also where nothing has changed.
/// @param failure  Set on an error of a phase; may be null.
Result<BuildResult> ensure_built(builder::Environment& environment, const AppSpec& app,
                                 const builder::PrepareContext& context, bool again = false,
                                 BuildFailure* failure = nullptr);

/// The newest generation, whatever the source says.
/// @return Errc::not_found where it was never built, or not under this id map.
Result<Generation> last_generation(builder::Environment& environment, const AppSpec& app);

}  // namespace locald::cnb
