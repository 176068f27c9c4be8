#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/container_options.h"
#include "builder/environment.h"
#include "builder/image_facts.h"
#include "oci/spec/image_config.h"
#include "runtime/container_bundle.h"

namespace locald::builder {

/// In a container's folder: what is beneath its writable layer (Assembly::stamp).
inline constexpr std::string_view kImageStamp = "image";

/// What every source of containers ends in: lower folders, a configuration and
/// options become a bundle, with the container's writable folder, its mount points
/// and its volumes made sure of.
struct Assembly {
  Environment& environment;
  const ContainerOptions& options;
  std::string container_key;  ///< names the writable folder
  std::string stamp;          ///< of the layers beneath: another one means a new writable folder
  std::vector<std::string> lowers;  ///< as in runtime::Rootfs
  std::string lower_base;
  oci::ImageConfig image;  ///< empty for a plain folder
  std::string facts_file;  ///< where facts are kept; "" where the lower folders may change: never
};

/// @param destination  the bundle's folder, which must not exist yet; on error nothing is left
/// there.
Result<runtime::ContainerBundle> assemble(const Assembly& assembly, const std::string& destination,
                                          const PrepareContext& context);

}  // namespace locald::builder
