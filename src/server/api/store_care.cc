#include "server/api/store_care.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/sys/fs_at.h"
#include "builder/image_prune.h"
#include "builder/storage.h"
#include "builder/store_jobs.h"
#include "cnb/build/housekeeping.h"
#include "oci/registry/login_check.h"

namespace locald::server {
namespace {

using builder::Environment;

/// The names of images, as the store has them, that `texts` mean.
std::set<std::string> names_of(const std::set<std::pair<std::string, std::string>>& texts) {
  std::set<std::string> out;
  for (const auto& [text, dir] : texts)
    if (const auto reference = oci::ImageReference::parse(text, dir)) out.insert(reference->name());
  return out;
}

ipc::ImageEntry image_entry(const oci::StoredImage& image) {
  return {.name = image.name,
          .digest = image.manifest_digest.str(),
          .id = image.config_digest.str(),
          .size = image.size_bytes,
          .created = image.created,
          .pulled_at = image.pulled_at,
          .layers = image.diff_ids.size()};
}

/// Folders of `dir` that are not locald's own working places.
std::vector<std::string> folders_of(const std::string& dir) {
  std::vector<std::string> out;
  for (const std::string& name : names_in(dir))
    if (!name.starts_with('.')) out.push_back(dir + "/" + name);
  return out;
}

std::uint64_t sum_of(const Json::Array& bytes, std::size_t from, std::size_t count) {
  std::uint64_t sum = 0;
  for (std::size_t i = from; i < from + count && i < bytes.size(); ++i)
    sum += static_cast<std::uint64_t>(bytes[i].as_int());
  return sum;
}

}  // namespace

void StoreCare::run(const std::string& name, const ReplyPtr& reply, Work work) {
  auto job = deps_.jobs.run<Result<JsonText>>(
      name,
      [&environment = deps_.environment, work = std::move(work)](const std::stop_token& stop) {
        return work(environment, stop);
      },
      [reply](Result<JsonText> result) {
        if (result)
          reply->result(*result);
        else
          reply->error(result.error());
      });
  reply->on_hangup([job]() mutable { job.cancel(); });
}

void StoreCare::tag(const ipc::ImageTagRequest& request, const ReplyPtr& reply) {
  run("image tag", reply,
      [request](Environment& environment, const std::stop_token&) -> Result<JsonText> {
        oci::ImageStore* images = TRY(environment.images());
        const oci::StoredImage image = TRY(images->find(request.image, request.cwd));
        const auto target = TRY(oci::ImageReference::parse(request.target, request.cwd));
        if (!target.is_registry() || target.digest)
          return Error(Errc::invalid_input, "invalid name \"" + request.target + "\"")
              .with_hint("use a name like redis:7");
        TRY(images->tag(image.manifest_digest, target));
        return encode_text(ipc::ImageTagReply{target.name(), image.manifest_digest.str()});
      });
}

void StoreCare::history(const ipc::ImageHistoryRequest& request, const ReplyPtr& reply) {
  run("image history", reply,
      [request](Environment& environment, const std::stop_token&) -> Result<JsonText> {
        const oci::StoredImage image =
            TRY(TRY(environment.images())->find(request.image, request.cwd));
        ipc::ImageHistoryReply out{.image = image_entry(image), .steps = {}};
        std::size_t layer = 0;
        const auto add_layer = [&](ipc::ImageStep& step) {
          if (layer >= image.diff_ids.size()) return;
          step.diff_id = image.diff_ids[layer].str();
          if (layer < image.manifest.layers.size())
            step.size = image.manifest.layers[layer].size_bytes;
          ++layer;
        };
        for (const oci::HistoryEntry& entry : image.config.history) {
          ipc::ImageStep& step =
              out.steps.emplace_back(ipc::ImageStep{.created = entry.created,
                                                    .created_by = entry.created_by,
                                                    .comment = entry.comment,
                                                    .empty = entry.empty_layer});
          if (!entry.empty_layer) add_layer(step);
        }
        // Layers of which the history does not tell.
        while (layer < image.diff_ids.size()) add_layer(out.steps.emplace_back());
        std::reverse(out.steps.begin(), out.steps.end());
        return encode_text(out);
      });
}

void StoreCare::prune(const ipc::ImagePruneRequest& request, const ReplyPtr& reply) {
  run("image prune", reply,
      [request, texts = deps_.projects.images()](Environment& environment,
                                                 const std::stop_token& stop) -> Result<JsonText> {
        const auto pruned =
            TRY(builder::prune_images(environment,
                                      {.all = request.all,
                                       .dry_run = request.dry_run,
                                       .used = names_of(texts),
                                       .used_layers = cnb::layers_in_use(environment)},
                                      stop));
        return encode_text(ipc::ImagePruneReply{pruned.removed, pruned.kept, pruned.freed_bytes});
      });
}

void StoreCare::login(const ipc::LoginRequest& request, const ReplyPtr& reply) {
  run("log in", reply,
      [request](Environment& environment, const std::stop_token& stop) -> Result<JsonText> {
        ipc::LoginReply out{.registry = TRY(oci::registry_name(request.registry))};
        const builder::LoginJob job{.registry = out.registry,
                                    .login = {request.user, request.password}};
        out.asked = TRY(environment.run(
            encode(job), [](const Json&) {}, stop))["asked"]
                        .as_bool();
        return encode_text(out);
      });
}

void StoreCare::disk(const ipc::DiskRequest&, const ReplyPtr& reply) {
  run("look at the disk", reply,
      [texts = deps_.projects.images()](Environment& environment,
                                        const std::stop_token& stop) -> Result<JsonText> {
        const Paths& paths = environment.paths();
        const oci::ImageStore& images = *TRY(environment.images());
        const auto all = TRY(images.list());
        const auto unused = TRY(builder::unused_images(environment, names_of(texts)));
        const auto free =
            TRY(builder::prune_images(environment,
                                      {.all = true,
                                       .dry_run = true,
                                       .used = names_of(texts),
                                       .used_layers = cnb::layers_in_use(environment)},
                                      stop));
        ipc::DiskReply out{.data = paths.data(), .state = paths.state(), .uses = {}};
        ipc::DiskUse blobs{.kind = "images",
                           .count = all.size(),
                           .bytes = TRY(images.disk_usage()),
                           .free_count = unused.size(),
                           .free_bytes = free.blob_bytes,
                           .command = "locald image prune --all"};
        ipc::DiskUse layers{.kind = "layers", .command = "locald image prune --all"};
        for (const auto& layer : TRY(TRY(environment.layers())->list())) {
          ++layers.count;
          layers.bytes += layer.bytes;
        }
        layers.free_count = free.layers;
        layers.free_bytes = free.freed_bytes - free.blob_bytes;
        const std::vector<std::string> containers = folders_of(paths.containers()),
                                       apps = folders_of(paths.cnb());
        std::vector<std::string> volumes;
        for (const std::string& project : folders_of(paths.volumes()))
          for (const std::string& volume : folders_of(project)) volumes.push_back(volume);
        builder::DiskJob job{.paths = containers};
        job.paths.insert(job.paths.end(), volumes.begin(), volumes.end());
        job.paths.insert(job.paths.end(), apps.begin(), apps.end());
        job.paths.push_back(paths.state());
        const Json::Array bytes = TRY(environment.run(
            encode(job), [](const Json&) {}, stop))["bytes"]
                                      .as_array();
        std::size_t at = 0;
        const auto use = [&](const char* kind, std::size_t count, std::size_t folders,
                             const char* command) {
          ipc::DiskUse out_of{.kind = kind,
                              .count = count,
                              .bytes = sum_of(bytes, at, folders),
                              .command = command};
          at += folders;
          return out_of;
        };
        out.uses = {std::move(blobs), std::move(layers)};
        out.uses.push_back(use("containers", containers.size(), containers.size(),
                               "locald down, locald container rm ID"));
        out.uses.push_back(use("volumes", volumes.size(), volumes.size(), "locald down --volumes"));
        out.uses.push_back(use("builds", apps.size(), apps.size(), "locald cache prune"));
        out.uses.push_back(use("logs", folders_of(paths.state() + "/services").size(), 1, ""));
        return encode_text(out);
      });
}

}  // namespace locald::server
