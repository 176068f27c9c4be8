#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/environment.h"
#include "cnb/build/build_inputs.h"
#include "cnb/source/source_index.h"
#include "cnb/store/app_store.h"

namespace locald::cnb {

/// What can wait until a build is over and its app runs: the generation reaches the disk, what the
/// next build wants is copied, what nobody needs any more is removed. Takes the app's lock: a build
/// at that time would have to do the same copying.
/// @param number  Of the generation that was made; absent after a failure.
void after_build(builder::Environment& environment, const AppStore& store,
                 const BuildInputs& inputs, const SourceIndex& source,
                 std::optional<std::uint64_t> number, const std::stop_token& stop);

/// Removes what builds of an earlier server left that was killed. For a server that starts; waits
/// for builds that have begun since.
void after_crash(builder::Environment& environment, const std::stop_token& stop);

/// Moves the file or folder `path` below Paths::cnb() out of the way; sweep_discarded() does the
/// rest. What is not there is fine.
Result<void> discard(const builder::Environment& environment, const std::string& path);

/// The folders of the logs that are kept of the app's builds (base/log/log_format.h), newest first.
std::vector<std::string> logged_builds(const Paths& paths, const std::string& app);

/// What one app has on disk.
struct CacheEntry {
  std::string app;
  std::optional<AppStore::Record> record;
  std::uint64_t bytes = 0;  ///< of all of it, hard links and shared blocks counted once each
  std::size_t generations = 0;
  bool in_use = false;  ///< a container, running or kept, stands on it
};
/// All apps. Walks their trees by a worker: a job.
Result<std::vector<CacheEntry>> list_caches(builder::Environment& environment,
                                            const std::stop_token& stop);

/// Removes an app with all it has: its generations, its caches, its builds' logs.
/// @return Errc::invalid_input while a container stands on it; Errc::not_found.
Result<void> remove_cache(builder::Environment& environment, const std::string& app,
                          const std::stop_token& stop);

/// Removes the apps that no container stands on and whose source is gone, or that nobody has asked
/// for during `unused`; and the added buildpacks (buildpack_store.h) that no build has asked for.
/// @return what the apps were.
Result<std::vector<CacheEntry>> prune_caches(builder::Environment& environment,
                                             std::chrono::milliseconds unused,
                                             const std::stop_token& stop);

/// The diffIDs that the generations of all apps stand on: what must stay in the layer store.
std::vector<oci::Digest> layers_in_use(const builder::Environment& environment);

}  // namespace locald::cnb
