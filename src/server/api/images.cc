#include "server/api/images.h"

#include <fmt/format.h>

#include <utility>

#include "builder/image_source.h"
#include "cnb/build/housekeeping.h"
#include "cnb/export/image_rebase.h"
#include "oci/transfer/image_export.h"
#include "server/progress_event.h"

namespace locald::server {
namespace {

using builder::Environment;
using builder::PrepareContext;

ipc::ImageEntry entry_of(const oci::StoredImage& image) {
  return {.name = image.name,
          .digest = image.manifest_digest.str(),
          .id = image.config_digest.str(),
          .size = image.size_bytes,
          .created = image.created,
          .pulled_at = image.pulled_at,
          .layers = image.diff_ids.size()};
}

}  // namespace

void Images::run(const std::string& name, std::vector<std::string> login_files,
                 const ReplyPtr& reply, Work work) {
  auto job = deps_.jobs.run<Result<JsonText>>(
      name,
      [this, reply, work = std::move(work),
       login_files = std::move(login_files)](const std::stop_token& stop) {
        builder::PrepareContext context;
        context.stop = stop;
        context.login_files = login_files;
        context.progress = [this, reply](const builder::PrepareProgress& p) {
          deps_.loop.post([reply, event = encode_text(progress_event(p))] { reply->event(event); });
        };
        return work(deps_.environment, context);
      },
      [reply](Result<JsonText> result) {
        if (result)
          reply->result(*result);
        else
          reply->error(result.error());
      });
  reply->on_hangup([job]() mutable { job.cancel(); });
}

void Images::pull(const ipc::ImagePullRequest& request, const ReplyPtr& reply) {
  run("pull " + request.image, request.login_files, reply,
      [request](Environment& environment, const PrepareContext& context) -> Result<JsonText> {
        const auto reference = TRY(oci::ImageReference::parse(request.image, request.cwd));
        const auto pulled = TRY(builder::pull_image(
            environment, reference,
            TRY(oci::parse_pull_policy(request.policy.empty() ? "always" : request.policy)),
            context));
        return encode_text(ipc::ImagePullReply{.name = pulled.image.name,
                                               .digest = pulled.image.manifest_digest.str(),
                                               .size = pulled.image.size_bytes,
                                               .contacted = pulled.contacted,
                                               .warnings = pulled.notices});
      });
}

void Images::list(const ipc::ImageListRequest&, const ReplyPtr& reply) {
  run("image ls", {}, reply,
      [](Environment& environment, const PrepareContext&) -> Result<JsonText> {
        ipc::ImageListReply out;
        for (const oci::StoredImage& image : TRY(TRY(environment.images())->list()))
          out.images.push_back(entry_of(image));
        return encode_text(out);
      });
}

void Images::inspect(const ipc::ImageInspectRequest& request, const ReplyPtr& reply) {
  run("image inspect " + request.image, {}, reply,
      [request](Environment& environment, const PrepareContext&) -> Result<JsonText> {
        const oci::StoredImage image =
            TRY(TRY(environment.images())->find(request.image, request.cwd));
        const oci::ImageConfig& config = image.config;
        ipc::ImageInspectReply out{.image = entry_of(image),
                                   .os = config.platform.os,
                                   .architecture = config.platform.architecture,
                                   .entrypoint = config.entrypoint,
                                   .command = config.cmd,
                                   .env = {},
                                   .user = config.user,
                                   .workdir = config.working_dir,
                                   .stop_signal = config.stop_signal,
                                   .volumes = config.volumes,
                                   .exposed_ports = config.exposed_ports,
                                   .labels = config.labels,
                                   .diff_ids = {}};
        for (const std::string& variable : config.env)
          if (const std::size_t at = variable.find('='); at != std::string::npos)
            out.env[variable.substr(0, at)] = variable.substr(at + 1);
        for (const oci::Digest& id : image.diff_ids) out.diff_ids.push_back(id.str());
        return encode_text(out);
      });
}

void Images::remove(const ipc::ImageRemoveRequest& request, const ReplyPtr& reply) {
  run("image rm", {}, reply,
      [request](Environment& environment, const PrepareContext& context) -> Result<JsonText> {
        ipc::ImageRemoveReply out;
        for (const std::string& text : request.images) {
          const auto gone = TRY(builder::remove_image(
              environment, text, cnb::layers_in_use(environment), context.stop));
          out.removed.insert(out.removed.end(), gone.names.begin(), gone.names.end());
          out.freed_bytes += gone.freed_bytes;
        }
        return encode_text(out);
      });
}

void Images::unpack(const ipc::ImageUnpackRequest& request, const ReplyPtr& reply) {
  run("unpack " + request.image, request.login_files, reply,
      [request](Environment& environment, const PrepareContext& context) -> Result<JsonText> {
        const auto reference = TRY(oci::ImageReference::parse(request.image, request.cwd));
        const auto unpacked = TRY(builder::unpack_image(
            environment, reference, oci::PullPolicy::missing, request.dir, context));
        return encode_text(ipc::ImageUnpackReply{
            .digest = unpacked.digest, .entries = unpacked.entries, .warnings = unpacked.warnings});
      });
}

void Images::export_to(const ipc::ImageExportRequest& request, const ReplyPtr& reply) {
  run("export " + request.image, {}, reply,
      [request](Environment& environment, const PrepareContext& context) -> Result<JsonText> {
        const oci::ImageStore* images = TRY(environment.images());
        const oci::StoredImage image = TRY(images->find(request.image, request.cwd));
        const auto target = TRY(oci::ImageReference::parse(request.target, request.cwd));
        const UniqueFd lease = TRY(images->layout().lease());
        TRY(oci::export_image(
            images->layout(), image, target, environment.judge(),
            {.stop = context.stop, .progress = [&](std::uint64_t done, std::uint64_t total) {
               context.progress(
                   {.phase = "write", .item = target.path, .done = done, .total = total});
             }}));
        return encode_text(ipc::ImageExportReply{.name = image.name,
                                                 .target = target.name(),
                                                 .digest = image.manifest_digest.str(),
                                                 .id = image.config_digest.str(),
                                                 .size = image.size_bytes});
      });
}

void Images::push(const ipc::ImagePushRequest& request, const ReplyPtr& reply) {
  run("push " + request.image, request.login_files, reply,
      [request](Environment& environment, const PrepareContext& context) -> Result<JsonText> {
        const oci::StoredImage image =
            TRY(TRY(environment.images())->find(request.image, request.cwd));
        const auto target =
            TRY(oci::ImageReference::parse(request.target.empty() ? image.name : request.target));
        const auto pushed = TRY(builder::push_image(environment, image, target, context));
        return encode_text(ipc::ImagePushReply{.name = target.name(),
                                               .digest = image.manifest_digest.str(),
                                               .id = image.config_digest.str(),
                                               .uploaded = pushed.uploaded,
                                               .mounted = pushed.mounted,
                                               .there_before = pushed.there_before,
                                               .uploaded_bytes = pushed.uploaded_bytes});
      });
}

void Images::rebase(const ipc::ImageRebaseRequest& request, const ReplyPtr& reply) {
  run("rebase " + request.image, request.login_files, reply,
      [request](Environment& environment, const PrepareContext& context) -> Result<JsonText> {
        const auto name = TRY(oci::ImageReference::parse(request.image, request.cwd));
        const auto rebased =
            TRY(cnb::rebase_image(environment, name,
                                  {.run_image = request.run_image,
                                   .force = request.force,
                                   .policy = TRY(oci::parse_pull_policy(request.policy))},
                                  context));
        return encode_text(ipc::ImageRebaseReply{.name = rebased.image.name,
                                                 .digest = rebased.image.manifest_digest.str(),
                                                 .id = rebased.image.config_digest.str(),
                                                 .changed = rebased.changed,
                                                 .run_image = rebased.run_image,
                                                 .run_image_digest = rebased.run_image_digest,
                                                 .notices = rebased.notices});
      });
}

}  // namespace locald::server
