#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/json/json.h"
#include "base/limit.h"
#include "base/paths.h"
#include "base/result.h"
#include "base/sys/path_judge.h"
#include "builder/spec_builder.h"
#include "oci/layer/layer_store.h"
#include "oci/store/image_store.h"
#include "runtime/process_runtime.h"
#include "runtime/user_namespace.h"
#include "runtime/worker.h"

namespace locald::builder {

/// What all sources of one server share: where things are, who may look at
/// them. Made once at the start; outlives its sources. Thread-safe.
class Environment {
 public:
  using RunJob =
      std::function<Result<Json>(const Json& job, const std::function<void(const Json&)>& progress,
                                 const std::stop_token& stop, std::chrono::milliseconds limit)>;
  struct Options {
    Paths paths;
    std::string server_binary;                         ///< of the worker
    std::string init_program = {};                     ///< locald-shim: /dev/init of containers
    runtime::UserNamespace* user_namespace = nullptr;  ///< borrowed; null: none, we are root
    RunJob run_job = {};                               ///< instead of a worker: for tests
    /// Borrowed; what the phases of a build run by. Null: nothing can be built.
    runtime::ProcessRuntime* runtime = nullptr;
    /// Runs work nobody waits for, later and on another thread. Empty: it is left undone.
    std::function<void(std::string name, std::function<void(const std::stop_token&)>)> background =
        {};
    std::size_t builds_at_once = 4;
  };
  explicit Environment(Options options);

  const Paths& paths() const noexcept { return options_.paths; }
  /// Folders that containers can write to, for judge(). Who starts one says so before.
  SharedFolders& shared() noexcept { return shared_; }
  /// For paths on the host that the user has named, as things stand now.
  PathJudge judge() const { return {paths(), shared_.all()}; }
  /// @return Errc::unsupported where nothing can be run.
  Result<runtime::ProcessRuntime*> runtime() const;
  void in_background(std::string name, std::function<void(const std::stop_token&)> work) const;

  /// The stores, opened at first use (and the user namespace made, whose map names the layers).
  Result<oci::ImageStore*> images();
  Result<oci::LayerStore*> layers();

  /// The id map and what else a spec depends on; asked once.
  Result<HostFacts> host();
  /// "root", "100000:65536", "single".
  Result<std::string> map_id();
  /// The host's number of the container's `id`; nullopt where it has none. With a single id that
  /// is everybody's (runtime/container_init.h).
  Result<std::function<std::optional<std::uint32_t>(std::uint32_t)>> host_ids();

  /// Runs `job` in a worker, with what every job needs (folders, id map) added.
  /// @param limit  zero: none.
  /// @param file  as in Worker::run
  Result<Json> run(Json job, const std::function<void(const Json&)>& progress,
                   const std::stop_token& stop, std::chrono::milliseconds limit = {},
                   int file = -1);

  /// One at a time per `key`: two starts must not make the same volume or the same facts.
  std::shared_ptr<std::mutex> lock_for(const std::string& key);

  /// Of builds in progress, of all clients.
  Limit& builds() noexcept { return builds_; }

 private:
  Result<void> open();  // with mutex_ held

  Options options_;
  runtime::Worker worker_;
  Limit builds_;
  SharedFolders shared_;
  std::mutex mutex_;
  bool opened_ = false;
  std::string map_id_;
  HostFacts host_;
  std::unique_ptr<oci::ImageStore> images_;
  std::unique_ptr<oci::LayerStore> layers_;
  std::map<std::string, std::weak_ptr<std::mutex>> locks_;
};

}  // namespace locald::builder
