#include "server/api/images.h"

#include <fmt/format.h>

#include <utility>

#include "builder/image_source.h"
#include "cnb/build/housekeeping.h"
#include "cnb/export/image_rebase.h"
#include "oci/transfer/image_export.h"

namespace locald::server {
namespace {

std::string base_of(const Json& body) { return body["cwd"].as_string(); }

}  // namespace

void Images::run(
    const std::string& name, const Json& body, const ReplyPtr& reply,
    std::function<Result<Json>(builder::Environment&, const builder::PrepareContext&)> work) {
  auto job = world_.jobs.run<Result<Json>>(
      name,
      [this, reply, work = std::move(work),
       login_files = body["login_files"].as_strings()](const std::stop_token& stop) {
        builder::PrepareContext context;
        context.stop = stop;
        context.login_files = login_files;
        context.progress = [this, reply](const builder::PrepareProgress& p) {
          world_.loop.post(
              [reply, event = Json::object({{"event", "progress"},
                                            {"phase", p.phase},
                                            {"item", p.item},
                                            {"done", p.done},
                                            {"total", p.total}})] { reply->event(event); });
        };
        return work(world_.environment, context);
      },
      [reply](Result<Json> result) {
        if (result)
          reply->result(std::move(*result));
        else
          reply->error(result.error());
      });
  reply->on_hangup([job]() mutable { job.cancel(); });
}

void Images::pull(const Json& body, const ReplyPtr& reply) {
  run("pull " + body["image"].as_string(), body, reply,
      [body](builder::Environment& environment,
             const builder::PrepareContext& context) -> Result<Json> {
        const auto reference =
            TRY(oci::ImageReference::parse(TRY(body.get_string("image")), base_of(body)));
        const std::string policy = TRY(body.get_string_or("policy", "always"));
        const auto pulled = TRY(builder::pull_image(
            environment, reference, TRY(oci::parse_pull_policy(policy.empty() ? "always" : policy)),
            context));
        return Json::object({{"name", pulled.image.name},
                             {"digest", pulled.image.manifest_digest.str()},
                             {"size", pulled.image.size_bytes},
                             {"contacted", pulled.contacted},
                             {"warnings", pulled.notices}});
      });
}

void Images::list(const Json&, const ReplyPtr& reply) {
  run("image ls", Json(), reply,
      [](builder::Environment& environment, const builder::PrepareContext&) -> Result<Json> {
        Json out = Json::array();
        for (const oci::StoredImage& image : TRY(TRY(environment.images())->list()))
          out.push(Json::object({{"name", image.name},
                                 {"digest", image.manifest_digest.str()},
                                 {"id", image.config_digest.str()},
                                 {"size", image.size_bytes},
                                 {"created", image.created},
                                 {"pulled_at", image.pulled_at},
                                 {"layers", image.diff_ids.size()}}));
        return Json::object({{"images", std::move(out)}});
      });
}

void Images::remove(const Json& body, const ReplyPtr& reply) {
  run("image rm", body, reply,
      [body](builder::Environment& environment,
             const builder::PrepareContext& context) -> Result<Json> {
        Json removed = Json::array();
        std::uint64_t freed = 0;
        for (const std::string& text : TRY(body.get_strings("images"))) {
          const auto gone = TRY(builder::remove_image(
              environment, text, cnb::layers_in_use(environment), context.stop));
          for (const std::string& name : gone.names) removed.push(name);
          freed += gone.freed_bytes;
        }
        return Json::object({{"removed", std::move(removed)}, {"freed_bytes", freed}});
      });
}

void Images::unpack(const Json& body, const ReplyPtr& reply) {
  run("unpack " + body["image"].as_string(), body, reply,
      [body](builder::Environment& environment,
             const builder::PrepareContext& context) -> Result<Json> {
        const std::string dir = TRY(body.get_string("dir"));
        if (!dir.starts_with("/")) return Error(Errc::invalid_input, "dir must be absolute");
        const auto reference =
            TRY(oci::ImageReference::parse(TRY(body.get_string("image")), base_of(body)));
        const auto unpacked = TRY(
            builder::unpack_image(environment, reference, oci::PullPolicy::missing, dir, context));
        return Json::object({{"digest", unpacked.digest},
                             {"entries", unpacked.entries},
                             {"warnings", unpacked.warnings}});
      });
}

void Images::export_to(const Json& body, const ReplyPtr& reply) {
  run("export " + body["image"].as_string(), body, reply,
      [body](builder::Environment& environment,
             const builder::PrepareContext& context) -> Result<Json> {
        const oci::ImageStore* images = TRY(environment.images());
        const oci::StoredImage image =
            TRY(images->find(TRY(body.get_string("image")), base_of(body)));
        const auto target =
            TRY(oci::ImageReference::parse(TRY(body.get_string("target")), base_of(body)));
        const UniqueFd lease = TRY(images->layout().lease());
        TRY(oci::export_image(
            images->layout(), image, target, environment.judge(),
            {.stop = context.stop, .progress = [&](std::uint64_t done, std::uint64_t total) {
               context.progress(
                   {.phase = "write", .item = target.path, .done = done, .total = total});
             }}));
        return Json::object({{"name", image.name},
                             {"target", target.name()},
                             {"digest", image.manifest_digest.str()},
                             {"id", image.config_digest.str()},
                             {"size", image.size_bytes}});
      });
}

void Images::push(const Json& body, const ReplyPtr& reply) {
  run("push " + body["image"].as_string(), body, reply,
      [body](builder::Environment& environment,
             const builder::PrepareContext& context) -> Result<Json> {
        const oci::StoredImage image =
            TRY(TRY(environment.images())->find(TRY(body.get_string("image")), base_of(body)));
        const std::string to = TRY(body.get_string_or("target", ""));
        const auto target = TRY(oci::ImageReference::parse(to.empty() ? image.name : to));
        const auto pushed = TRY(builder::push_image(environment, image, target, context));
        return Json::object({{"name", target.name()},
                             {"digest", image.manifest_digest.str()},
                             {"id", image.config_digest.str()},
                             {"uploaded", pushed.uploaded},
                             {"mounted", pushed.mounted},
                             {"there_before", pushed.there_before},
                             {"uploaded_bytes", pushed.uploaded_bytes}});
      });
}

void Images::rebase(const Json& body, const ReplyPtr& reply) {
  run("rebase " + body["image"].as_string(), body, reply,
      [body](builder::Environment& environment,
             const builder::PrepareContext& context) -> Result<Json> {
        const auto name =
            TRY(oci::ImageReference::parse(TRY(body.get_string("image")), base_of(body)));
        const auto rebased = TRY(cnb::rebase_image(
            environment, name,
            {.run_image = TRY(body.get_string_or("run_image", "")),
             .force = TRY(body.get_bool_or("force", false)),
             .policy = TRY(oci::parse_pull_policy(TRY(body.get_string_or("policy", "always"))))},
            context));
        return Json::object({{"name", rebased.image.name},
                             {"digest", rebased.image.manifest_digest.str()},
                             {"id", rebased.image.config_digest.str()},
                             {"changed", rebased.changed},
                             {"run_image", rebased.run_image},
                             {"run_image_digest", rebased.run_image_digest},
                             {"notices", rebased.notices}});
      });
}

}  // namespace locald::server
