#pragma once
#include <string>

#include "builder/bundle_source.h"
#include "builder/container_options.h"
#include "builder/environment.h"
#include "cnb/app.h"

namespace locald::cnb {

/// A bundle from an app that is built with Cloud Native Buildpacks: built unless
/// what is there is what a build would make, then its layers and the run image's beneath the
/// container's own writable folder. What follows is the same for all sources (assembly.h).
///
///     ensure_built (cnb/build/app_builder.h) ──> generation
///       │  lower folders, configuration (cnb/runnable.h)
///     the process type, the live source's mounts, the port
///       │
///     assemble ──> ContainerBundle
class CnbSource final : public builder::BundleSource {
 public:
  struct Settings {
    AppSpec app;
    std::string process;  ///< a type; "" = the app's default
    bool build = true;  ///< false: the newest generation, whatever the source says, if there is one
  };
  CnbSource(builder::Environment& environment, Settings settings, builder::ContainerOptions options,
            std::string container_key);

  /// Without a command in the options it is the process type's, with one it takes the place of
  /// its `args`.
  /// @return Errc::not_found also for a process type that the app does not have, naming those it
  /// has.
  Result<runtime::ContainerBundle> prepare(const std::string& destination,
                                           const builder::PrepareContext& context) override;
  /// Names the generation, once prepare() has found it.
  std::string fingerprint() const override { return fingerprint_; }

 private:
  builder::Environment& environment_;
  Settings settings_;
  builder::ContainerOptions options_;
  std::string container_key_;
  std::string fingerprint_;
};

}  // namespace locald::cnb
