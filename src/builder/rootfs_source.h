#pragma once
#include <string>

#include "builder/bundle_source.h"
#include "builder/container_options.h"
#include "builder/environment.h"

namespace locald::builder {

/// A bundle from a folder that holds a root file system: it is the lower layer
/// and never written to; the container has its own writable folder above it.
/// A folder may change under us, so what it holds is looked at before every start.
class RootfsSource final : public BundleSource {
 public:
  /// @param folder  Absolute.
  RootfsSource(Environment& environment, std::string folder, ContainerOptions options,
               std::string container_key);

  Result<runtime::ContainerBundle> prepare(const std::string& destination,
                                           const PrepareContext& context) override;
  std::string fingerprint() const override { return "rootfs:" + folder_; }

 private:
  Environment& environment_;
  std::string folder_;
  ContainerOptions options_;
  std::string container_key_;
};

}  // namespace locald::builder
