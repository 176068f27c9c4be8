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
#include "builder/image_facts.h"
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

oci::IdMap id_map(const Json& job) {
  const std::string& name = job["id_map"].as_string();
  return name == "root"     ? oci::IdMap::root
         : name == "subuid" ? oci::IdMap::subuid
                            : oci::IdMap::single;
}

runtime::Rootfs rootfs(const Json& job) {
  return {.lowers = job["lowers"].as_strings(),
          .lower_base = job["lower_base"].as_string(),
          .upper = job["upper"].as_string(),
          .work = job["work"].as_string()};
}

Result<TreeView> view(const Json& job) {
  return TreeView::mount(rootfs(job), job["scratch"].as_string(), id_map(job) != oci::IdMap::root,
                         static_cast<std::size_t>(job["room"].as_int()));
}

std::optional<oci::Credentials> login(const Json& job) {
  const Json& login = job["login"];
  if (!login.is_object()) return std::nullopt;
  return oci::Credentials{login["user"].as_string(), login["password"].as_string()};
}

struct Pulling {
  oci::ImageReference reference;
  oci::ImageStore images;
  oci::LayerStore layers;
  oci::PullOptions options;
};

Result<Pulling> pulling(const Json& job, const Progress& progress) {
  Pulling p{.reference = TRY(oci::ImageReference::parse(TRY(job.get_string("image")))),
            .images = TRY(oci::ImageStore::open(job["images"].as_string())),
            .layers = TRY(oci::LayerStore::open(job["layers"].as_string(), id_map(job),
                                                job["map_id"].as_string())),
            .options = {}};
  p.options.policy = TRY(oci::parse_pull_policy(TRY(job.get_string("policy"))));
  p.options.apply.id_map = id_map(job);
  p.options.credentials = [known = login(job)](const std::string&) { return known; };
  p.options.login_hint = job["login_hint"].as_string();
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

Result<Json> pull(const Json& job, const Progress& progress) {
  Pulling p = TRY(pulling(job, progress));
  const oci::PullResult result = TRY(oci::pull(p.reference, p.images, p.layers, p.options));
  return Json::object({{"digest", result.image.manifest_digest.str()},
                       {"contacted", result.contacted},
                       {"devices", result.skipped_devices},
                       {"warnings", result.warnings}});
}

Result<Json> unpack(const Json& job, const Progress& progress) {
  Pulling p = TRY(pulling(job, progress));
  const UniqueFd target = TRY(runtime::handed_file(job));
  const std::string dir = "/proc/self/fd/" + std::to_string(target.get());
  const oci::UnpackResult result =
      TRY(oci::unpack(p.reference, p.images, p.layers, dir, p.options));
  return Json::object({{"digest", result.image.manifest_digest.str()},
                       {"entries", result.entries},
                       {"devices", result.skipped_devices},
                       {"warnings", result.warnings}});
}

Result<Json> push(const Json& job, const Progress& progress) {
  const auto target = TRY(oci::ImageReference::parse(TRY(job.get_string("target"))));
  const oci::ImageStore images = TRY(oci::ImageStore::open(job["images"].as_string()));
  oci::StoredImage image = TRY(images.find(TRY(job.get_string("image"))));
  image.name = job["name"].as_string();
  // What is pushed stays until it is there.
  const UniqueFd lease = TRY(images.layout().lease());
  const oci::PushResult result =
      TRY(oci::push(images.layout(), image, target,
                    {.login = login(job),
                     .login_hint = job["login_hint"].as_string(),
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
Result<void> dress_upper(const Json& job) {
  const std::vector<std::string> lowers = job["lowers"].as_strings();
  if (lowers.empty()) return {};
  const std::string top = lowers.front().starts_with('/')
                              ? lowers.front()
                              : job["lower_base"].as_string() + "/" + lowers.front();
  struct stat st {};
  if (::stat(top.c_str(), &st) != 0) return Error::from_errno(errno, "look at " + top);
  const std::string& upper = job["upper"].as_string();
  const UniqueFd fd = TRY(sys::open(upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (::fchown(fd.get(), st.st_uid, st.st_gid) != 0)
    return Error::from_errno(errno, "chown " + upper);
  if (::fchmod(fd.get(), st.st_mode & 07777u) != 0)
    return Error::from_errno(errno, "chmod " + upper);
  return {};
}

Result<Json> facts(const Json& job, const Progress&) {
  if (job["fresh"].as_bool()) TRY(dress_upper(job));
  const TreeView tree = TRY(view(job));
  for (const Json& item : job["create"].as_array())
    TRY(make_mount_point(
        tree.root(), item["path"].as_string(),
        item["kind"].as_string() == "file" ? PathFacts::Kind::file : PathFacts::Kind::folder));
  return TRY(collect_facts(tree.root(), job["paths"].as_strings())).to_json();
}

Result<Json> volume(const Json& job, const Progress&) {
  const std::string target = TRY(job.get_string("target"));
  const TreeView tree = TRY(view(job));
  const auto source =
      open_in_root(tree.root(), TRY(job.get_string("source")), O_PATH | O_DIRECTORY);
  if (!source && source.error().code() != Errc::not_found) return source.error();
  return Json::object({{"files", TRY(make_volume(source ? source->get() : -1, target))}});
}

Result<Json> remove_trees(const Json& job, const Progress&) {
  Result<void> first;
  for (const std::string& path : job["paths"].as_strings())
    if (auto removed = remove_tree(path); !removed && first) first = std::move(removed);
  TRY(first);
  return Json::object();
}

Result<Json> remove_layers(const Json& job, const Progress&) {
  oci::LayerStore layers =
      TRY(oci::LayerStore::open(job["layers"].as_string(), id_map(job), job["map_id"].as_string()));
  for (const std::string& text : job["diff_ids"].as_strings())
    TRY(layers.remove(TRY(oci::Digest::parse(text))));
  return Json::object();
}

}  // namespace

runtime::WorkerHandler find_worker_job(const std::string& op) {
  static const std::pair<const char*, Result<Json> (*)(const Json&, const Progress&)> table[] = {
      {"pull", pull},
      {"unpack", unpack},
      {"push", push},
      {"facts", facts},
      {"volume", volume},
      {"remove_trees", remove_trees},
      {"remove_layers", remove_layers}};
  for (const auto& [name, handler] : table)
    if (op == name) return handler;
  return {};
}

}  // namespace locald::builder
