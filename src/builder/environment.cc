#include "builder/environment.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file_lock.h"
#include "base/sys/fs_at.h"
#include "builder/limits.h"

namespace locald::builder {
namespace {

using runtime::IdMapKind;

/// mount_setattr(2) is there (Linux 5.12): without it a read-only bind leaves mounts below it
/// writable.
bool has_mount_setattr() {
  return ::syscall(SYS_mount_setattr, -1, nullptr, 0u, nullptr, 0ul) == 0 || errno != ENOSYS;
}

/// One per processor where the hardware counts its throttling, as Docker masks them.
std::vector<std::string> thermal_paths() {
  std::vector<std::string> paths;
  const long processors = ::sysconf(_SC_NPROCESSORS_CONF);
  for (long i = 0; i < processors; ++i) {
    std::string path = "/sys/devices/system/cpu/cpu" + std::to_string(i) + "/thermal_throttle";
    if (exists(path)) paths.push_back(std::move(path));
  }
  return paths;
}

oci::IdMap layer_map(IdMapKind kind) {
  switch (kind) {
    case IdMapKind::root:
      return oci::IdMap::root;
    case IdMapKind::subuid:
      return oci::IdMap::subuid;
    case IdMapKind::single:
      break;
  }
  return oci::IdMap::single;
}

/// "100000:65536": the first subordinate id and their number.
Result<std::pair<std::uint64_t, std::uint64_t>> parse_range(const std::string& map_id) {
  const std::vector<std::string> parts = split(map_id, ':');
  if (parts.size() == 2)
    if (const auto first = parse_u64(parts[0]), count = parse_u64(parts[1]); first && count)
      return std::pair(*first, *count);
  return Error(Errc::failed, "the id map \"" + map_id + "\" is not FIRST:COUNT");
}

}  // namespace

Environment::Environment(Options options)
    : options_(std::move(options)),
      worker_({.server_binary = options_.server_binary,
               .user_namespace = [this]() -> Result<int> {
                 return options_.user_namespace == nullptr ? -1 : options_.user_namespace->fd();
               }}),
      builds_(options_.builds_at_once) {}

Result<void> Environment::open() {
  if (opened_ && still_named(images_->layout().dir_fd(), AT_FDCWD, options_.paths.images()) &&
      exists(options_.paths.layers()))
    return {};
  if (opened_) {  // borrowers may still have them
    static std::mutex mutex;
    static std::vector<
        std::pair<std::unique_ptr<oci::ImageStore>, std::unique_ptr<oci::LayerStore>>>
        retired;
    const std::lock_guard lock(mutex);
    retired.emplace_back(std::move(images_), std::move(layers_));
  }
  opened_ = false;
  map_id_ = "root";
  if (options_.user_namespace != nullptr) {
    TRY(options_.user_namespace->fd());  // makes it, and so decides the map
    host_.id_map = options_.user_namespace->kind();
    map_id_ = options_.user_namespace->map_id();
  }
  if (host_.id_map == IdMapKind::single) host_.id_count = 1;
  if (host_.id_map == IdMapKind::subuid) host_.id_count = TRY(parse_range(map_id_)).second + 1;
  host_.recursive_read_only = has_mount_setattr();
  host_.masked_paths = thermal_paths();
  host_.init_program = options_.init_program;
  host_.hard_limits = hard_limits(host_.id_map == IdMapKind::root);
  images_ = std::make_unique<oci::ImageStore>(TRY(oci::ImageStore::open(options_.paths.images())));
  layers_ = std::make_unique<oci::LayerStore>(
      TRY(oci::LayerStore::open(options_.paths.layers(), layer_map(host_.id_map), map_id_)));
  opened_ = true;
  return {};
}

Result<runtime::ProcessRuntime*> Environment::runtime() const {
  if (options_.runtime == nullptr) return Error(Errc::unsupported, "nothing can be run from here");
  return options_.runtime;
}

void Environment::in_background(std::string name,
                                std::function<void(const std::stop_token&)> work) const {
  if (options_.background) options_.background(std::move(name), std::move(work));
}

Result<oci::ImageStore*> Environment::images() {
  const std::lock_guard lock(mutex_);
  TRY(open());
  return images_.get();
}

Result<oci::LayerStore*> Environment::layers() {
  const std::lock_guard lock(mutex_);
  TRY(open());
  return layers_.get();
}

Result<HostFacts> Environment::host() {
  const std::lock_guard lock(mutex_);
  TRY(open());
  return host_;
}

Result<std::string> Environment::map_id() {
  const std::lock_guard lock(mutex_);
  TRY(open());
  return map_id_;
}

Result<std::function<std::optional<std::uint32_t>(std::uint32_t)>> Environment::host_ids() {
  using Map = std::function<std::optional<std::uint32_t>(std::uint32_t)>;
  const std::string name = TRY(map_id());
  const IdMapKind kind = TRY(host()).id_map;
  if (kind == IdMapKind::root) return Map([](std::uint32_t id) { return std::optional(id); });
  const std::uint32_t own = ::getuid();
  if (kind == IdMapKind::single) return Map([own](std::uint32_t) { return std::optional(own); });
  const auto [first, count] = TRY(parse_range(name));
  return Map([own, first, count](std::uint32_t id) -> std::optional<std::uint32_t> {
    if (id == 0) return own;
    if (id > count) return std::nullopt;
    return static_cast<std::uint32_t>(first + id - 1);
  });
}

Result<Json> Environment::run(Json job, const std::function<void(const Json&)>& progress,
                              const std::stop_token& stop, std::chrono::milliseconds limit,
                              int file) {
  static constexpr const char* kMaps[] = {"root", "subuid", "single"};
  const IdMapKind kind = TRY(host()).id_map;
  // Not from the worker's own environment: inside the user namespace it is root, and would look in
  // root's places.
  job.set("images", paths().images());
  job.set("layers", paths().layers());
  job.set("scratch", paths().facts());
  job.set("id_map", kMaps[static_cast<int>(kind)]);
  job.set("map_id", TRY(map_id()));
  TRY(make_dirs(paths().facts()));
  if (!options_.run_job) return worker_.run(job, progress, stop, limit, file);
  if (file >= 0) job.set("file", file);
  return options_.run_job(job, progress, stop, limit);
}

std::shared_ptr<std::mutex> Environment::lock_for(const std::string& key) {
  const std::lock_guard lock(mutex_);
  std::erase_if(locks_, [](const auto& entry) { return entry.second.expired(); });
  std::shared_ptr<std::mutex> mutex = locks_[key].lock();
  if (!mutex) locks_[key] = mutex = std::make_shared<std::mutex>();
  return mutex;
}

}  // namespace locald::builder
