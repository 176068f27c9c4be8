#include "server/launch/container_source.h"

#include <utility>

#include "builder/image_source.h"

namespace locald::server {
namespace {

using Source = std::unique_ptr<builder::BundleSource>;

struct Make {
  builder::Environment& environment;
  SourceRequest& request;

  Source operator()(FromImage& image) const {
    return std::make_unique<builder::ImageSource>(environment, std::move(image.reference),
                                                  image.policy, std::move(request.options),
                                                  std::move(request.container_key));
  }
  Source operator()(FromApp& app) const {
    return std::make_unique<cnb::CnbSource>(environment, std::move(app), std::move(request.options),
                                            std::move(request.container_key));
  }
};

}  // namespace

Source make_source(builder::Environment& environment, SourceRequest request) {
  return std::visit(Make{environment, request}, request.from);
}

}  // namespace locald::server
