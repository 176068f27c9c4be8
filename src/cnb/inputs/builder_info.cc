#include "cnb/inputs/builder_info.h"

#include <algorithm>
#include <optional>

#include "base/json/json.h"
#include "base/strings.h"
#include "oci/spec/manifest.h"

namespace locald::cnb {
namespace {

constexpr std::uint64_t kMaxId = (1u << 31) - 1;  // of a user or group in a container
constexpr const char* kBuilderLabel = "io.buildpacks.builder.metadata";
constexpr const char* kExtensionsLabel = "io.buildpacks.buildpack.order-extensions";

std::optional<std::string> variable(const oci::ImageConfig& config, std::string_view name) {
  for (const std::string& pair : config.env)
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  return std::nullopt;
}

Error no_builder(const std::string& name, const std::string& why) {
  return Error(Errc::invalid_input, name + " is not a builder: " + why)
      .with_hint(
          "a builder is an image made by `pack builder create`, like "
          "paketobuildpacks/builder-jammy-base or heroku/builder:24");
}

Result<std::uint32_t> build_id(const std::string& name, const oci::ImageConfig& config,
                               const char* variable_name) {
  const auto text = variable(config, variable_name);
  if (!text) return no_builder(name, std::string(variable_name) + " is not in its environment");
  const auto number = parse_u64(*text);
  if (!number || *number > kMaxId)
    return no_builder(name,
                      std::string(variable_name) + " is \"" + *text + "\", which is not an id");
  return static_cast<std::uint32_t>(*number);
}

/// Those that are on their way out first, as in an order by age.
std::vector<std::string> all_of(const Json& apis) {
  std::vector<std::string> all = apis["deprecated"].as_strings();
  const std::vector<std::string> supported = apis["supported"].as_strings();
  all.insert(all.end(), supported.begin(), supported.end());
  return all;
}

Result<ApiVersion> negotiate(const std::string& name, const std::string& lifecycle,
                             const Json& apis) {
  const std::vector<std::string> theirs = all_of(apis);
  if (theirs.empty())
    return no_builder(name, std::string("its label ") + kBuilderLabel +
                                " does not say which Platform API its lifecycle has");
  for (const ApiVersion& ours : platform_apis())
    if (std::find(theirs.begin(), theirs.end(), ours.str()) != theirs.end()) return ours;
  const std::string range = platform_apis().back().str() + " to " + platform_apis().front().str();
  return Error(Errc::unsupported, "the builder " + name + " has lifecycle " + lifecycle +
                                      " with Platform API " + join(theirs, ", ") +
                                      "; locald speaks " + range)
      .with_hint("take a newer builder: lifecycle 0.17 and later have Platform API 0.12");
}

}  // namespace

Result<ApiVersion> ApiVersion::parse(std::string_view text) {
  const std::vector<std::string> parts = split(text, '.');
  const auto major = parse_u64(parts[0]);
  const auto minor = parts.size() == 2 ? parse_u64(parts[1]) : std::optional<std::uint64_t>(0);
  if (parts.size() > 2 || !major || !minor || *major > 999 || *minor > 999)
    return Error(Errc::invalid_input, "invalid API version \"" + std::string(text) + "\"");
  return ApiVersion{static_cast<unsigned>(*major), static_cast<unsigned>(*minor)};
}

std::string ApiVersion::str() const { return std::to_string(major) + "." + std::to_string(minor); }

const std::vector<ApiVersion>& platform_apis() {
  static const std::vector<ApiVersion> versions = {{0, 15}, {0, 14}, {0, 13}, {0, 12}};
  return versions;
}

Result<BuilderInfo> BuilderInfo::from_image(const std::string& name,
                                            const oci::ImageConfig& config) {
  const auto label = config.labels.find(kBuilderLabel);
  if (label == config.labels.end())
    return no_builder(name, std::string("it has no label ") + kBuilderLabel);
  const auto parsed = oci::parse_image_json(label->second);
  if (!parsed)
    return no_builder(name, std::string("its label ") + kBuilderLabel + " is damaged (" +
                                parsed.error().message() + ")");
  const Json& metadata = *parsed;
  BuilderInfo info;
  info.uid = TRY(build_id(name, config, "CNB_USER_ID"));
  info.gid = TRY(build_id(name, config, "CNB_GROUP_ID"));
  // The lifecycle itself refuses to detect and build as root.
  if (info.uid == 0) return no_builder(name, "its build user is root");
  const auto extensions = config.labels.find(kExtensionsLabel);
  if (extensions != config.labels.end()) {
    const auto order = Json::parse(extensions->second);
    if (!order || !order->as_array().empty())
      return Error(Errc::unsupported,
                   "the builder " + name + " uses image extensions, which locald does not support")
          .with_hint("take a builder without extensions, like paketobuildpacks/builder-jammy-base");
  }
  const Json& lifecycle = metadata["lifecycle"];
  info.lifecycle_version = lifecycle["version"].as_string();
  info.platform_api = TRY(negotiate(name, info.lifecycle_version, lifecycle["apis"]["platform"]));
  info.buildpack_apis = all_of(lifecycle["apis"]["buildpack"]);
  const auto add = [&](const Json& image) {
    if (const std::string& ref = image["image"].as_string(); !ref.empty())
      info.run_images.push_back({ref, image["mirrors"].as_strings()});
  };
  for (const Json& image : metadata["images"].as_array()) add(image);
  if (info.run_images.empty()) add(metadata["stack"]["runImage"]);  // pack before 0.30
  for (const Json& buildpack : metadata["buildpacks"].as_array())
    info.buildpacks.push_back({buildpack["id"].as_string(), buildpack["version"].as_string()});
  return info;
}

std::string BuilderInfo::version_of(const std::string& id) const {
  std::string found;
  for (const Buildpack& buildpack : buildpacks) {
    if (buildpack.id != id || buildpack.version == found) continue;
    if (!found.empty()) return "";
    found = buildpack.version;
  }
  return found;
}

Result<std::vector<std::string>> run_image_candidates(const BuilderInfo& builder,
                                                      const oci::ImageReference& builder_reference,
                                                      const std::string& asked_for) {
  if (!asked_for.empty()) return std::vector{asked_for};
  if (builder.run_images.empty())
    return Error(Errc::invalid_input,
                 "the builder " + builder_reference.familiar() + " names no run image")
        .with_hint("name one: run_image = \"…\"");
  const RunImage& first = builder.run_images.front();
  std::vector<std::string> names = {first.image};
  names.insert(names.end(), first.mirrors.begin(), first.mirrors.end());
  if (builder_reference.is_registry())
    std::stable_partition(names.begin(), names.end(), [&](const std::string& name) {
      const auto reference = oci::ImageReference::parse(name);
      return reference && reference->registry == builder_reference.registry;
    });
  return names;
}

}  // namespace locald::cnb
