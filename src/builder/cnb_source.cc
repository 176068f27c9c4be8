#include "builder/cnb_source.h"

#include <utility>

#include "builder/assembly.h"
#include "builder/cnb/app_builder.h"
#include "builder/cnb/app_store.h"
#include "builder/cnb/runnable.h"

namespace locald::builder {
CnbSource::CnbSource(Environment& environment, Settings settings, ContainerOptions options,
                     std::string container_key)
    : environment_(environment),
      settings_(std::move(settings)),
      options_(std::move(options)),
      container_key_(std::move(container_key)) {}

Result<runtime::ContainerBundle> CnbSource::prepare(const std::string& destination,
                                                    const PrepareContext& context) {
  std::vector<std::string> notices;
  cnb::Generation generation;
  auto last = settings_.build ? Result<cnb::Generation>(Error(Errc::not_found, "to be built"))
                              : cnb::last_generation(environment_, settings_.app);
  if (last) {
    generation = std::move(*last);
  } else {
    cnb::BuildResult built = TRY(cnb::ensure_built(environment_, settings_.app, context));
    generation = std::move(built.generation);
    notices = std::move(built.notices);
  }
  const cnb::AppStore store(environment_.paths(), settings_.app.key());
  const cnb::Runnable app = TRY(cnb::runnable(environment_, store, generation));
  ContainerOptions options = options_;
  if (!options.entrypoint)
    // Spec: CNB platform.md#launcher.
    options.entrypoint =
        std::vector{"/cnb/process/" +
                    TRY(generation.choose_process(settings_.process).context(settings_.app.path))};
  for (const std::string& folder : settings_.app.live)
    options.mounts.push_back({.kind = VolumeMount::Kind::bind,
                              .source = settings_.app.path + "/" + folder,
                              .target = "/workspace/" + folder,
                              .read_only = true});
  runtime::ContainerBundle bundle = TRY(assemble({.environment = environment_,
                                                  .options = options,
                                                  .container_key = container_key_,
                                                  .stamp = app.stamp,
                                                  .lowers = app.lowers,
                                                  .lower_base = app.lower_base,
                                                  .image = app.config,
                                                  .facts_file = app.facts_file},
                                                 destination, context)
                                            .context(settings_.app.path));
  bundle.notices.insert(bundle.notices.begin(), notices.begin(), notices.end());
  fingerprint_ = app.stamp;
  return bundle;
}

}  // namespace locald::builder
