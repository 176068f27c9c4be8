#include "cnb/cnb_source.h"

#include <utility>

#include "builder/assembly.h"
#include "cnb/build/app_builder.h"
#include "cnb/runnable.h"
#include "cnb/store/app_store.h"

namespace locald::cnb {
CnbSource::CnbSource(builder::Environment& environment, Settings settings,
                     builder::ContainerOptions options, std::string container_key)
    : environment_(environment),
      settings_(std::move(settings)),
      options_(std::move(options)),
      container_key_(std::move(container_key)) {}

Result<runtime::ContainerBundle> CnbSource::prepare(const std::string& destination,
                                                    const builder::PrepareContext& context) {
  std::vector<std::string> notices;
  Generation generation;
  auto last = settings_.build ? Result<Generation>(Error(Errc::not_found, "to be built"))
                              : last_generation(environment_, settings_.app);
  if (last) {
    generation = std::move(*last);
  } else {
    BuildResult built = TRY(ensure_built(environment_, settings_.app, context));
    generation = std::move(built.generation);
    notices = std::move(built.notices);
  }
  const AppStore store(environment_.paths(), settings_.app.key());
  const Runnable app = TRY(runnable(environment_, store, generation));
  builder::ContainerOptions options = options_;
  if (!options.entrypoint)
    // Spec: CNB platform.md#launcher.
    options.entrypoint =
        std::vector{"/cnb/process/" +
                    TRY(generation.choose_process(settings_.process).context(settings_.app.path))};
  for (const std::string& folder : settings_.app.live)
    options.mounts.push_back({.kind = builder::VolumeMount::Kind::bind,
                              .source = settings_.app.path + "/" + folder,
                              .target = "/workspace/" + folder,
                              .read_only = true});
  runtime::ContainerBundle bundle = TRY(builder::assemble({.environment = environment_,
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

}  // namespace locald::cnb
