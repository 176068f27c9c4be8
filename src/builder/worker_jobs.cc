#include "builder/worker_jobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/copy_job.h"
#include "builder/image_facts.h"
#include "builder/jobs.h"
#include "builder/store_jobs.h"
#include "builder/tree_view.h"
#include "builder/volumes.h"
#include "oci/layer/layer_store.h"
#include "oci/store/image_store.h"
#include "oci/transfer/pull.h"
#include "oci/transfer/registry_push.h"
#include "runtime/worker.h"

namespace locald::builder {
namespace {

using Progress = std::function<void(Json)>;

oci::IdMap id_map(const JobWorld& world) {
  const std::string& name = world.id_map;
  return name == "root"     ? oci::IdMap::root
         : name == "subuid" ? oci::IdMap::subuid
                            : oci::IdMap::single;
}

Result<TreeView> view(const runtime::Rootfs& rootfs, const JobWorld& world, std::size_t room = 0) {
  return TreeView::mount(rootfs, world.scratch, id_map(world) != oci::IdMap::root, room);
}

std::optional<oci::Credentials> credentials(const std::optional<JobLogin>& login) {
  if (!login) return std::nullopt;
  return oci::Credentials{login->user, login->password};
}

Result<oci::LayerStore> open_layers(const JobWorld& world) {
  return oci::LayerStore::open(world.layers, id_map(world), world.map_id);
}

struct Pulling {
  oci::ImageReference reference;
  oci::ImageStore images;
  oci::LayerStore layers;
  oci::PullOptions options;
};

template <class J>
Result<Pulling> pulling(const J& job, const Progress& progress) {
  Pulling p{.reference = TRY(oci::ImageReference::parse(job.from.image)),
            .images = TRY(oci::ImageStore::open(job.world.images)),
            .layers = TRY(open_layers(job.world)),
            .options = {}};
  p.options.policy = TRY(oci::parse_pull_policy(job.policy));
  p.options.apply.id_map = id_map(job.world);
  p.options.credentials = [known = credentials(job.from.login)](const std::string&) {
    return known;
  };
  p.options.login_hint = job.from.login_hint;
  p.options.progress = [progress](const oci::PullProgress& now) {
    progress(Json::object({{"phase", oci::to_string(now.phase)},
                           {"item", now.layer},
                           {"done", now.done},
                           {"total", now.total},
                           {"layers_done", now.layers_done},
                           {"layers_total", now.layers_total},
                           {"note", now.note}}));
  };
  return p;
}

Result<Json> pull(const Json& json, const Progress& progress) {
  Pulling p = TRY(pulling(TRY(decode<PullJob>(json)), progress));
  const oci::PullResult result = TRY(oci::pull(p.reference, p.images, p.layers, p.options));
  return Json::object({{"digest", result.image.manifest_digest.str()},
                       {"contacted", result.contacted},
                       {"devices", result.skipped_devices},
                       {"warnings", result.warnings}});
}

Result<Json> unpack(const Json& json, const Progress& progress) {
  Pulling p = TRY(pulling(TRY(decode<UnpackJob>(json)), progress));
  const UniqueFd target = TRY(runtime::handed_file(json));
  const std::string dir = "/proc/self/fd/" + std::to_string(target.get());
  const oci::UnpackResult result =
      TRY(oci::unpack(p.reference, p.images, p.layers, dir, p.options));
  return Json::object({{"digest", result.image.manifest_digest.str()},
                       {"entries", result.entries},
                       {"devices", result.skipped_devices},
                       {"warnings", result.warnings}});
}

Result<Json> push(const Json& json, const Progress& progress) {
  const PushJob job = TRY(decode<PushJob>(json));
  const auto target = TRY(oci::ImageReference::parse(job.target));
  const oci::ImageStore images = TRY(oci::ImageStore::open(job.world.images));
  oci::StoredImage image = TRY(images.find(job.what.image));
  image.name = job.name;
  // What is pushed stays until it is there.
  const UniqueFd lease = TRY(images.layout().lease());
  const oci::PushResult result =
      TRY(oci::push(images.layout(), image, target,
                    {.login = credentials(job.what.login),
                     .login_hint = job.what.login_hint,
                     .elsewhere = TRY(oci::blobs_elsewhere(images, target.registry)),
                     .progress = [progress](const oci::PushProgress& now) {
                       progress(Json::object({{"phase", oci::to_string(now.phase)},
                                              {"item", now.layer},
                                              {"done", now.done},
                                              {"total", now.total},
                                              {"note", now.note}}));
                     }}));
  return Json::object({{"uploaded", result.uploaded},
                       {"mounted", result.mounted},
                       {"there_before", result.there_before},
                       {"bytes", result.uploaded_bytes}});
}

/// A new writable folder stands for the root of the tree: it gets that one's owner and mode.
Result<void> dress_upper(const FactsJob& job) {
  if (job.lowers.empty()) return {};
  const std::string& first = job.lowers.front();
  const std::string top = first.starts_with('/') ? first : job.lower_base + "/" + first;
  struct stat st {};
  if (::stat(top.c_str(), &st) != 0) return Error::from_errno(errno, "look at " + top);
  const std::string& upper = job.upper;
  const UniqueFd fd = TRY(sys::open(upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (::fchown(fd.get(), st.st_uid, st.st_gid) != 0)
    return Error::from_errno(errno, "chown " + upper);
  if (::fchmod(fd.get(), st.st_mode & 07777u) != 0)
    return Error::from_errno(errno, "chmod " + upper);
  return {};
}

Result<Json> facts(const Json& json, const Progress&) {
  const FactsJob job = TRY(decode<FactsJob>(json));
  if (job.fresh) TRY(dress_upper(job));
  const TreeView tree = TRY(view(
      {.lowers = job.lowers, .lower_base = job.lower_base, .upper = job.upper, .work = job.work},
      job.world, job.room));
  for (const JobPoint& point : job.create)
    TRY(make_mount_point(tree.root(), point.path,
                         point.is_file ? PathFacts::Kind::file : PathFacts::Kind::folder));
  return TRY(collect_facts(tree.root(), job.paths)).to_json();
}

Result<Json> volume(const Json& json, const Progress&) {
  const VolumeJob job = TRY(decode<VolumeJob>(json));
  const TreeView tree = TRY(view(
      {.lowers = job.lowers, .lower_base = job.lower_base, .upper = {}, .work = {}}, job.world));
  const auto source = open_in_root(tree.root(), job.source, O_PATH | O_DIRECTORY);
  if (!source && source.error().code() != Errc::not_found) return source.error();
  return Json::object({{"files", TRY(make_volume(source ? source->get() : -1, job.target))}});
}

Result<Json> remove_trees(const Json& json, const Progress&) {
  const RemoveTreesJob job = TRY(decode<RemoveTreesJob>(json));
  Result<void> first;
  for (const std::string& path : job.paths)
    if (auto removed = remove_tree(path); !removed && first) first = std::move(removed);
  TRY(first);
  return Json::object();
}

Result<Json> remove_layers(const Json& json, const Progress&) {
  const RemoveLayersJob job = TRY(decode<RemoveLayersJob>(json));
  oci::LayerStore layers = TRY(open_layers(job.world));
  for (const std::string& text : job.diff_ids) TRY(layers.remove(TRY(oci::Digest::parse(text))));
  return Json::object();
}

Result<Json> copy(const Json& json, const Progress&) { return copy_job(json); }
Result<Json> login(const Json& json, const Progress&) { return login_job(json); }
Result<Json> disk(const Json& json, const Progress&) { return disk_job(json); }

}  // namespace

runtime::WorkerHandler find_worker_job(const std::string& op) {
  static const std::pair<const char*, Result<Json> (*)(const Json&, const Progress&)> table[] = {
      {PullJob::kOp, pull},
      {CopyJob::kOp, copy},
      {LoginJob::kOp, login},
      {DiskJob::kOp, disk},
      {UnpackJob::kOp, unpack},
      {PushJob::kOp, push},
      {FactsJob::kOp, facts},
      {VolumeJob::kOp, volume},
      {RemoveTreesJob::kOp, remove_trees},
      {RemoveLayersJob::kOp, remove_layers}};
  for (const auto& [name, handler] : table)
    if (op == name) return handler;
  return {};
}

}  // namespace locald::builder
