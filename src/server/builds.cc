#include "server/builds.h"

#include <utility>

#include "builder/cnb/app_store.h"
#include "builder/cnb/housekeeping.h"

namespace locald::server {
namespace {

using builder::cnb::AppSpec;

/// What a build came to.
struct Outcome {
  Result<builder::cnb::BuildResult> result;
  builder::cnb::BuildFailure failure;
};

Json processes_json(const builder::cnb::Generation& generation) {
  Json out = Json::array();
  for (const auto& process : generation.processes)
    out.push(Json::object({{"type", process.type},
                           {"default", process.type == generation.default_process},
                           {"command", process.command},
                           {"args", process.args},
                           {"direct", process.direct},
                           {"buildpack", process.buildpack_id}}));
  return out;
}

Json outcome_json(const AppSpec& app, const builder::cnb::BuildResult& built) {
  const builder::cnb::Generation& g = built.generation;
  Json buildpacks = Json::array();
  for (const auto& b : g.buildpacks)
    buildpacks.push(Json::object({{"id", b.id}, {"version", b.version}}));
  return Json::object({{"app", app.key()},
                       {"path", app.path},
                       {"built", built.built},
                       {"reason", built.reason.empty() ? Json() : Json(built.reason)},
                       {"generation", g.number},
                       {"built_at", g.built_at},
                       {"strict", g.strict()},
                       {"builder", g.builder},
                       {"builder_digest", g.builder_digest},
                       {"run_image", g.run_image},
                       {"run_image_digest", g.run_image_digest},
                       {"platform_api", g.platform_api},
                       {"lifecycle", g.lifecycle_version},
                       {"buildpacks", std::move(buildpacks)},
                       {"processes", processes_json(g)},
                       {"times", g.times.to_json()},
                       {"notices", built.notices}});
}

}  // namespace

void Builds::build(const Json& body, const ReplyPtr& reply) {
  const auto parsed = AppSpec::from_json(body["app"]);
  if (!parsed) return reply->error(parsed.error());
  auto job = world_.jobs.run<std::shared_ptr<Outcome>>(
      "build " + parsed->path,
      [this, reply, app = *parsed, again = body["again"].as_bool()](const std::stop_token& stop) {
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
        builder::cnb::BuildFailure failure;
        auto result =
            builder::cnb::ensure_built(world_.environment, app, context, again, &failure);
        return std::make_shared<Outcome>(Outcome{std::move(result), std::move(failure)});
      },
      [reply, app = *parsed](const std::shared_ptr<Outcome>& outcome) {
        if (outcome->result) return reply->result(outcome_json(app, *outcome->result));
        if (outcome->failure.details.is_null()) return reply->error(outcome->result.error());
        reply->error(outcome->result.error(), {{"build", outcome->failure.details}});
      });
  reply->on_hangup([job]() mutable { job.cancel(); });
}

}  // namespace locald::server
