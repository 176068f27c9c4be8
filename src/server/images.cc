#include "server/images.h"

#include <fmt/format.h>

#include <utility>

#include "builder/cnb/housekeeping.h"
#include "builder/image_source.h"

namespace locald::server {
namespace {

std::string base_of(const Json& body) { return body["cwd"].as_string(); }

}  // namespace

void Images::run(
    const std::string& name, const ReplyPtr& reply,
    std::function<Result<Json>(builder::Environment&, const builder::PrepareContext&)> work) {
  auto job = world_.jobs.run<Result<Json>>(
      name,
      [this, reply, work = std::move(work)](const std::stop_token& stop) {
        builder::PrepareContext context;
        context.stop = stop;
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
  run("pull " + body["image"].as_string(), reply,
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
  run("image ls", reply,
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
  run("image rm", reply,
      [body](builder::Environment& environment,
             const builder::PrepareContext& context) -> Result<Json> {
        Json removed = Json::array();
        std::uint64_t freed = 0;
        for (const std::string& text : TRY(body.get_strings("images"))) {
          const auto gone = TRY(builder::remove_image(
              environment, text, builder::cnb::layers_in_use(environment), context.stop));
          for (const std::string& name : gone.names) removed.push(name);
          freed += gone.freed_bytes;
        }
        return Json::object({{"removed", std::move(removed)}, {"freed_bytes", freed}});
      });
}

void Images::unpack(const Json& body, const ReplyPtr& reply) {
  run("unpack " + body["image"].as_string(), reply,
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

}  // namespace locald::server
