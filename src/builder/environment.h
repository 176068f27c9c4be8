#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/paths.h"
#include "base/result.h"
#include "oci/image_store.h"
#include "oci/layer_store.h"
#include "runtime/user_namespace.h"
#include "runtime/worker.h"

namespace locald::builder {

/// What all sources of one server share: where things are, who may look at
/// them. Made once at the start; outlives its sources. Thread-safe.
class Environment {
 public:
  struct Options {
    Paths paths;
    std::string server_binary;               ///< of the worker
    runtime::UserNamespace* user_namespace;  ///< borrowed
    /// Overrides the worker in tests that run in one process; empty: a real one.
    std::function<Result<Json>(const Json& job, const std::function<void(const Json&)>& progress,
                               const std::stop_token& stop)>
        run_job = {};
  };
  explicit Environment(Options options);

  const Paths& paths() const noexcept { return options_.paths; }

  /// The stores, opened at first use (and the user namespace made, for its map's name).
  Result<oci::ImageStore*> images();
  Result<oci::LayerStore*> layers();

  Result<runtime::IdMapKind> id_map_kind();
  /// How many ids there are inside: 0 … n-1 exist. 2^32-1 as root, 1 for a single-id map.
  Result<std::uint64_t> id_count();

  /// Runs `job` in a worker, with what every job needs (paths, id map) added.
  Result<Json> run(Json job, const std::function<void(const Json&)>& progress,
                   const std::stop_token& stop);

  /// One at a time per `key`: two starts must not make the same volume or facts (rule 4).
  std::shared_ptr<std::mutex> lock_for(const std::string& key);

 private:
  Options options_;
  runtime::Worker worker_;
  std::mutex mutex_;
  std::unique_ptr<oci::ImageStore> images_;
  std::unique_ptr<oci::LayerStore> layers_;
  std::map<std::string, std::weak_ptr<std::mutex>> locks_;
};

}  // namespace locald::builder
