#pragma once
#include <memory>
#include <string>
#include <variant>

#include "builder/bundle_source.h"
#include "builder/container_options.h"
#include "builder/environment.h"
#include "cnb/cnb_source.h"
#include "oci/ref/reference.h"
#include "oci/transfer/pull.h"

namespace locald::server {

struct FromImage {
  oci::ImageReference reference;
  oci::PullPolicy policy = oci::PullPolicy::missing;
};

using FromApp = cnb::CnbSource::Settings;

/// Where a container comes from, and what it is to be.
struct SourceRequest {
  std::variant<FromImage, FromApp> from;
  builder::ContainerOptions options;
  std::string container_key;  ///< names its writable folder (Paths::container)
};

/// The only place that knows what kinds of sources there are: a new kind is its file, one
/// alternative of SourceRequest::from, and one line here. `environment` is borrowed and outlives
/// the source.
std::unique_ptr<builder::BundleSource> make_source(builder::Environment& environment,
                                                   SourceRequest request);

}  // namespace locald::server
