#include "builder/source_registry.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "builder/cnb_source.h"
#include "builder/image_source.h"
#include "builder/rootfs_source.h"

namespace locald::builder {
namespace {

using Source = Result<std::unique_ptr<BundleSource>>;

Result<std::string> setting(const SourceRequest& request, const std::string& key) {
  const auto found = request.settings.find(key);
  if (found != request.settings.end() && !found->second.empty()) return found->second;
  return Error(Errc::invalid_input,
               "a service of kind \"" + request.kind + "\" needs `" + key + "`");
}

Source image(Environment& environment, SourceRequest request) {
  auto reference =
      TRY(oci::ImageReference::parse(TRY(setting(request, "image")), request.base_dir));
  const auto pull = request.settings.find("pull");
  const oci::PullPolicy policy =
      TRY(oci::parse_pull_policy(pull == request.settings.end() ? "missing" : pull->second));
  return std::unique_ptr<BundleSource>(
      std::make_unique<ImageSource>(environment, std::move(reference), policy,
                                    std::move(request.options), std::move(request.container_key)));
}

Source rootfs(Environment& environment, SourceRequest request) {
  std::string folder = TRY(setting(request, "rootfs"));
  if (!folder.starts_with('/')) folder = request.base_dir + "/" + folder;
  return std::unique_ptr<BundleSource>(
      std::make_unique<RootfsSource>(environment, std::move(folder), std::move(request.options),
                                     std::move(request.container_key)));
}

/// `app` is AppSpec's JSON; `process` a type; `build` "no" where the newest build is to be run.
Source cnb_app(Environment& environment, SourceRequest request) {
  const Json app = TRY(Json::parse(TRY(setting(request, "app"))));
  CnbSource::Settings settings{.app = TRY(cnb::AppSpec::from_json(app)),
                               .process = request.settings["process"],
                               .build = request.settings["build"] != "no"};
  return std::unique_ptr<BundleSource>(
      std::make_unique<CnbSource>(environment, std::move(settings), std::move(request.options),
                                  std::move(request.container_key)));
}

struct Kind {
  const char* name;
  Source (*make)(Environment&, SourceRequest);
};

/// A new kind of source: its file, and its line here.
constexpr Kind kKinds[] = {
    {"image", image},
    {"rootfs", rootfs},
    {"cnb", cnb_app},
};

}  // namespace

Result<std::unique_ptr<BundleSource>> make_source(Environment& environment, SourceRequest request) {
  for (const Kind& kind : kKinds)
    if (request.kind == kind.name) return kind.make(environment, std::move(request));
  Error error(Errc::invalid_input, "no source of containers is called \"" + request.kind +
                                       "\" (there are " + join(source_kinds(), ", ") + ")");
  if (const auto near = did_you_mean(request.kind, source_kinds()))
    return std::move(error).with_hint("did you mean \"" + *near + "\"?");
  return error;
}

std::vector<std::string> source_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

}  // namespace locald::builder
