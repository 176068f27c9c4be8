#include "server/projects/image_answers.h"

#include <chrono>
#include <utility>

#include "base/strings.h"
#include "builder/image_source.h"

namespace locald::server {

namespace {

int exposed_port(const std::vector<std::string>& ports) {
  int out = 0;
  for (const std::string& port : ports) {
    if (!port.ends_with("/tcp") && port.find('/') != std::string::npos) continue;
    const auto number = parse_u64(port.substr(0, port.find('/')));
    if (!number || *number == 0 || *number > 0xFFFF) continue;
    if (out != 0) return 0;
    out = static_cast<int>(*number);
  }
  return out;
}

project::DockerHealth health_of(const oci::ImageHealth& health) {
  const auto time = [](std::int64_t ns) {
    return std::chrono::ceil<project::Milliseconds>(std::chrono::nanoseconds(ns));
  };
  return {.test = health.test,
          .interval = time(health.interval),
          .timeout = time(health.timeout),
          .start_period = time(health.start_period),
          .retries = health.retries,
          .at = {}};
}

}  // namespace

std::optional<ImageAnswer> ImageAnswers::find(const oci::ImageReference& image) const {
  const auto images = deps_.environment.images();
  if (!images) return std::nullopt;
  const auto found = (*images)->find(image);
  if (!found) return std::nullopt;
  return ImageAnswer{exposed_port(found->config.exposed_ports), health_of(found->config.health)};
}

std::vector<JobPool::Job> ImageAnswers::pull(Pull pull) {
  struct Pulling {
    Pull pull;
    std::size_t left;
    Result<void> done;
  };
  const auto all = std::make_shared<Pulling>(Pulling{std::move(pull), 0, {}});
  all->left = all->pull.services.size();
  std::vector<JobPool::Job> out;
  for (const project::AskedImage& unknown : all->pull.services)
    out.push_back(deps_.jobs.run<Result<void>>(
        "pull " + unknown.image,
        [this, all, unknown](const std::stop_token& stop) -> Result<void> {
          const JobPool::UncountedScope uncounted;  // a slow registry holds nothing else up
          const std::string& service = unknown.service;
          builder::PrepareContext context;
          context.stop = stop;
          context.login_files = all->pull.login_files;
          context.progress = [&](const builder::PrepareProgress& progress) {
            deps_.loop.post([all, service, event = progress_event(progress)] {
              all->pull.progress(service, event);
            });
          };
          const auto reference = TRY(oci::ImageReference::parse(unknown.image, all->pull.dir));
          const auto pulled =
              TRY(builder::pull_image(deps_.environment, reference, unknown.pull, context)
                      .context(service + (unknown.port
                                              ? ": find out where " + unknown.image + " listens"
                                              : ": fetch " + unknown.image)));
          for (const std::string& text : pulled.notices)
            deps_.loop.post([all, service, text] { all->pull.notice(service, text); });
          return {};
        },
        [all](Result<void> done) {
          if (!done && all->done) all->done = std::move(done);
          if (--all->left == 0) all->pull.done(std::move(all->done));
        }));
  return out;
}

}  // namespace locald::server
