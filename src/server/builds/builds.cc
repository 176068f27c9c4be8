#include "server/builds/builds.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "cnb/build/app_builder.h"
#include "cnb/build/housekeeping.h"
#include "cnb/export/export.h"
#include "cnb/store/app_store.h"
#include "oci/ref/reference.h"
#include "oci/transfer/image_export.h"
#include "server/projects/projects.h"

namespace locald::server {
namespace {

using cnb::AppSpec;

/// Where the image is to go, besides the app's own generations.
struct ImageWanted {
  std::vector<oci::ImageReference> tags;
  std::optional<oci::ImageReference> output;
  bool any() const { return output || !tags.empty(); }
};

Result<ImageWanted> image_wanted(const ipc::BuildRequest& request) {
  ImageWanted out;
  for (const std::string& tag : request.tags) {
    auto name = TRY(oci::ImageReference::parse(tag).context("--tag"));
    if (!name.is_registry() || name.digest)
      return Error(Errc::invalid_input, "--tag " + tag + ": a name as Docker writes it is wanted")
          .with_hint("to a folder or a file: --output " + tag);
    out.tags.push_back(std::move(name));
  }
  if (const std::string& text = request.output; !text.empty()) {
    out.output = TRY(oci::ImageReference::parse(text).context("--output"));
    if (out.output->transport != oci::Transport::oci &&
        out.output->transport != oci::Transport::oci_archive)
      return Error(Errc::invalid_input,
                   "--output " + text + ": oci:DIR[:TAG] or oci-archive:FILE[:TAG] is wanted")
          .with_hint(
              "into locald's image store: --tag NAME; to a registry: locald image push NAME");
  }
  return out;
}

/// The image of what was built, and where it is wanted.
Result<oci::StoredImage> make_image(builder::Environment& environment, const AppSpec& app,
                                    cnb::BuildResult& built, const ImageWanted& wanted,
                                    const builder::PrepareContext& context) {
  const cnb::AppStore store(environment.paths(), app.key());
  oci::StoredImage image = TRY(cnb::export_generation(environment, store, built.generation,
                                                      wanted.tags, context, &built.notices));
  if (wanted.output)
    TRY(oci::export_image(
        TRY(environment.images())->layout(), image, *wanted.output, environment.judge(),
        {.stop = context.stop, .progress = [&](std::uint64_t done, std::uint64_t total) {
           context.progress({.phase = "write", .done = done, .total = total});
         }}));
  return image;
}

ipc::BuildTimes times_of(const cnb::BuildTimes& times) {
  ipc::BuildTimes out{.total_ms = times.total};
  for (const auto& [name, ms] : times.phases) out.phases.push_back({name, ms});
  for (const auto& [name, ms] : times.buildpacks) out.buildpacks.push_back({name, ms});
  return out;
}

ipc::BuiltApp built_app(const AppSpec& app, const cnb::BuildResult& built,
                        const std::optional<oci::StoredImage>& image,
                        const std::vector<std::string>& services) {
  const cnb::Generation& g = built.generation;
  ipc::BuiltApp out{.app = app.key(),
                    .path = app.path,
                    .built = built.built,
                    .generation = g.number,
                    .built_at = g.built_at,
                    .strict = g.strict(),
                    .builder = g.builder,
                    .builder_digest = g.builder_digest,
                    .run_image = g.run_image,
                    .run_image_digest = g.run_image_digest,
                    .platform_api = g.platform_api,
                    .lifecycle = g.lifecycle_version,
                    .times = times_of(g.times),
                    .notices = built.notices,
                    .services = services};
  if (!built.reason.empty()) out.reason = built.reason;
  for (const auto& b : g.buildpacks) out.buildpacks.push_back({b.id, b.version});
  for (const cnb::Process& p : g.processes)
    out.processes.push_back({.type = p.type,
                             .is_default = p.type == g.default_process,
                             .command = p.command,
                             .args = p.args,
                             .direct = p.direct,
                             .buildpack = p.buildpack_id});
  if (image)
    out.image = {.name = image->name,
                 .digest = image->manifest_digest.str(),
                 .id = image->config_digest.str(),
                 .size = image->size_bytes};
  return out;
}

/// An app, and the services that it was asked for by; none for a folder.
struct Wanted {
  AppSpec app;
  std::vector<std::string> services;
};

AppSpec app_spec(const ipc::AppFolder& folder) {
  return {.path = folder.path,
          .builder = folder.builder,
          .run_image = folder.run_image,
          .base_dir = folder.base_dir,
          .env = folder.env};
}

/// What the request is about, if not a folder.
template <class R>
Result<std::vector<std::pair<std::string, AppSpec>>> apps_of_project(Projects& projects,
                                                                     const R& request) {
  if (!request.project)
    return Error(Errc::invalid_input, R::fields().what() + ": project: missing");
  return projects.apps(*request.project, request.world, request.services);
}

Result<std::vector<Wanted>> wanted_apps(Projects& projects, const ipc::BuildRequest& request) {
  std::vector<Wanted> out;
  if (request.app) {
    out.push_back({app_spec(*request.app), {}});
  } else {
    for (auto& [service, app] : TRY(apps_of_project(projects, request))) {
      const auto same = std::find_if(out.begin(), out.end(),
                                     [&, &app = app](const Wanted& w) { return w.app == app; });
      if (same == out.end())
        out.push_back({std::move(app), {service}});
      else
        same->services.push_back(service);
    }
  }
  for (Wanted& wanted : out) {
    if (request.strict) wanted.app.strict = true;
    if (!request.pull.empty()) wanted.app.pull = request.pull;
  }
  return out;
}

/// What all builds of one request came to.
struct Outcomes {
  ipc::BuildReply reply;
  Result<void> result;
  Json failure;  ///< BuildFailure::details
};

std::optional<std::string> if_any(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

ipc::CachedApp cached_app(const cnb::CacheEntry& c) {
  const AppSpec spec = c.record ? c.record->spec : AppSpec();
  ipc::CachedApp out{.app = c.app,
                     .project = if_any(spec.project),
                     .path = if_any(spec.path),
                     .builder = if_any(spec.builder),
                     .bytes = c.bytes,
                     .generations = c.generations,
                     .in_use = c.in_use};
  if (c.record) out.last_used = c.record->last_used;
  return out;
}

template <class T>
void answer(const ReplyPtr& reply, const Result<T>& result) {
  if (result)
    reply->result(*result);
  else
    reply->error(result.error());
}

}  // namespace

JobPool::Job Builds::ensure(const RunningApp& app, OnProgress progress,
                            std::function<void(Result<Json> content)> done) {
  return jobs_.run<Result<Json>>(
      "build " + app.app.path,
      [this, app, progress = std::move(progress)](const std::stop_token& stop) -> Result<Json> {
        builder::PrepareContext context;
        context.stop = stop;
        context.login_files = app.login_files;
        context.progress = [this, &progress](const builder::PrepareProgress& p) {
          deps_.loop.post([progress, event = progress_event(p)] { progress(event); });
        };
        const auto built = TRY(cnb::ensure_built(deps_.environment, app.app, context));
        for (const std::string& type : app.process_types)
          TRY(built.generation.choose_process(type).context(app.app.path));
        return Json::object({{"app", app.app.key()},
                             {"generation", built.generation.number},
                             {"built_at", built.generation.built_at}});
      },
      std::move(done));
}

void Builds::build(Projects& projects, const ipc::BuildRequest& request, const ReplyPtr& reply) {
  auto wanted = wanted_apps(projects, request);
  if (!wanted) return reply->error(wanted.error());
  auto images = image_wanted(request);
  if (!images) return reply->error(images.error());
  if (images->any() && wanted->size() != 1)
    return reply->error(Error(Errc::invalid_input, "an image of one app at a time")
                            .with_hint("name the service: locald build api --output …"));
  auto job = jobs_.run<std::shared_ptr<Outcomes>>(
      "build",
      [this, reply, wanted = std::move(*wanted), images = std::move(*images), again = request.again,
       login_files = request.world.login_files](const std::stop_token& stop) {
        auto outcomes = std::make_shared<Outcomes>();
        for (const Wanted& w : wanted) {
          builder::PrepareContext context;
          context.stop = stop;
          context.login_files = login_files;
          const std::string service = w.services.empty() ? std::string() : w.services.front();
          context.progress = [this, reply, service](const builder::PrepareProgress& p) {
            deps_.loop.post(
                [reply, event = encode_text(progress_event(p, service))] { reply->event(event); });
          };
          cnb::BuildFailure failure;
          auto built = cnb::ensure_built(deps_.environment, w.app, context, again, &failure);
          if (!built) {
            outcomes->result = built.error();
            outcomes->failure = std::move(failure.details);
            break;
          }
          std::optional<oci::StoredImage> image;
          if (images.any()) {
            auto made = make_image(deps_.environment, w.app, *built, images, context);
            if (!made) {
              outcomes->result = made.error();
              break;
            }
            image = std::move(*made);
          }
          outcomes->reply.apps.push_back(built_app(w.app, *built, image, w.services));
        }
        return outcomes;
      },
      [reply](const std::shared_ptr<Outcomes>& outcomes) {
        if (outcomes->result) return reply->result(outcomes->reply);
        if (outcomes->failure.is_null()) return reply->error(outcomes->result.error());
        reply->error(outcomes->result.error(), {{"build", outcomes->failure}});
      });
  reply->on_hangup([job]() mutable { job.cancel(); });
}

void Builds::logs(Projects& projects, const ipc::BuildLogsRequest& request, const ReplyPtr& reply) {
  const auto find = [&]() -> Result<ipc::BuildLogsReply> {
    const Paths& paths = deps_.environment.paths();
    std::map<std::string, std::string> names;  // app -> what it is called
    if (const std::string& path = request.path; !path.empty()) {
      for (const std::string& app : cnb::AppStore::list(paths))
        if (const auto record = cnb::AppStore(paths, app).record();
            record && record->spec.path == path)
          names[app] = path;
    } else {
      for (const auto& [service, app] : TRY(apps_of_project(projects, request)))
        names.emplace(app.key(), service);
    }
    ipc::BuildLogsReply out;
    for (const auto& [app, name] : names) {
      const auto builds = cnb::logged_builds(paths, app);
      for (const std::string& dir : builds) {
        out.logs.push_back({name, dir});
        if (!request.all) break;
      }
    }
    return out;
  };
  answer(reply, find());
}

void Builds::list_caches(const ipc::CacheListRequest&, const ReplyPtr& reply) {
  using Out = Result<ipc::CacheListReply>;
  auto job = caches_.run<Out>(
      "list caches",
      [&environment = deps_.environment](const std::stop_token& stop) -> Out {
        ipc::CacheListReply out;
        for (const auto& cache : TRY(cnb::list_caches(environment, stop)))
          out.caches.push_back(cached_app(cache));
        return out;
      },
      [reply](const Out& out) { answer(reply, out); });
  reply->on_hangup([job]() mutable { job.cancel(); });
}

void Builds::remove_caches(const ipc::CacheRemoveRequest& request, const ReplyPtr& reply) {
  using Out = Result<ipc::CacheRemoveReply>;
  auto job = caches_.run<Out>(
      "remove caches",
      [&environment = deps_.environment, apps = request.apps](const std::stop_token& stop) -> Out {
        for (const std::string& app : apps) TRY(cnb::remove_cache(environment, app, stop));
        return ipc::CacheRemoveReply{apps};
      },
      [reply](const Out& out) { answer(reply, out); });
  reply->on_hangup([job]() mutable { job.cancel(); });
}

void Builds::prune_caches(const ipc::CachePruneRequest& request, const ReplyPtr& reply) {
  using Out = Result<ipc::CachePruneReply>;
  auto job = caches_.run<Out>(
      "prune caches",
      [&environment = deps_.environment,
       unused = request.unused](const std::stop_token& stop) -> Out {
        ipc::CachePruneReply out;
        for (const auto& cache : TRY(cnb::prune_caches(environment, unused, stop)))
          out.removed.push_back(cached_app(cache));
        return out;
      },
      [reply](const Out& out) { answer(reply, out); });
  reply->on_hangup([job]() mutable { job.cancel(); });
}

}  // namespace locald::server
