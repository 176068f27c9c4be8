#include "project/compose/shape.h"

#include "project/compose/shape_parts.h"

namespace locald::project::compose {
namespace {

// The sections beside `services`.

constexpr Key kPoolKeys[] = {{"subnet", &kTextShape},
                             {"ip_range", &kTextShape},
                             {"gateway", &kTextShape},
                             {"aux_addresses", &kOptionsShape}};
constexpr Shape kPool = table(kPoolKeys);
constexpr Shape kPools = {.kinds = kList, .merge = Merge::pools, .items = &kPool};
constexpr Key kIpamKeys[] = {
    {"driver", &kTextShape}, {"config", &kPools}, {"options", &kOptionsShape}};
constexpr Shape kIpam = table(kIpamKeys);

constexpr Key kNetworkKeys[] = {{"name", &kTextShape},
                                {"driver", &kTextShape},
                                {"driver_opts", &kOptionsShape},
                                {"ipam", &kIpam, Rule::always},
                                {"external", &kExternalShape},
                                {"internal", &kFlagShape},
                                {"enable_ipv4", &kFlagShape, Rule::if_there},
                                {"enable_ipv6", &kFlagShape, Rule::if_there},
                                {"attachable", &kFlagShape},
                                {"labels", &kLabelsShape}};
constexpr Shape kNetwork = with(table(kNetworkKeys, kNull), Form::external);
constexpr Shape kNetworks = {.kinds = kMap, .names = Names::plain, .values = &kNetwork};

constexpr Key kNamedVolumeKeys[] = {{"name", &kTextShape},
                                    {"driver", &kTextShape},
                                    {"driver_opts", &kOptionsShape},
                                    {"external", &kExternalShape},
                                    {"labels", &kLabelsShape}};
constexpr Shape kNamedVolume = with(table(kNamedVolumeKeys, kNull), Form::external);
constexpr Shape kNamedVolumes = {.kinds = kMap, .names = Names::plain, .values = &kNamedVolume};

constexpr Key kNamedSecretKeys[] = {
    {"name", &kTextShape},           {"environment", &kTextShape},    {"file", &kTextShape},
    {"external", &kExternalShape},   {"labels", &kLabelsShape},       {"driver", &kTextShape},
    {"driver_opts", &kOptionsShape}, {"template_driver", &kTextShape}};
constexpr Shape kNamedSecret = with(table(kNamedSecretKeys), Form::external);
constexpr Shape kSecrets = {.kinds = kMap, .names = Names::plain, .values = &kNamedSecret};

constexpr Key kNamedConfigKeys[] = {{"name", &kTextShape},           {"content", &kTextShape},
                                    {"environment", &kTextShape},    {"file", &kTextShape},
                                    {"external", &kExternalShape},   {"labels", &kLabelsShape},
                                    {"template_driver", &kTextShape}};
constexpr Shape kNamedConfig = with(table(kNamedConfigKeys), Form::external);
constexpr Shape kConfigs = {.kinds = kMap, .names = Names::plain, .values = &kNamedConfig};

constexpr Key kModelKeys[] = {{"name", &kTextShape},
                              {"model", &kTextShape},
                              {"context_size", &kWholeShape},
                              {"runtime_flags", &kRepeatedTextsShape}};
constexpr Shape kModel = requiring(table(kModelKeys), "model");
constexpr Shape kModels = {.kinds = kMap, .names = Names::plain, .values = &kModel};

constexpr Key kIncludeKeys[] = {
    {"path", &kOneOrMoreShape}, {"env_file", &kOneOrMoreShape}, {"project_directory", &kTextShape}};
constexpr Shape kInclude = table(kIncludeKeys, kText);
constexpr Shape kIncludes = {.kinds = kList, .items = &kInclude};

constexpr Shape kServices = {.kinds = kMap, .names = Names::plain, .values = &kServiceShape};

constexpr Key kProjectKeys[] = {{"version", &kTextShape}, {"name", &kTextShape},
                                {"include", &kIncludes},  {"services", &kServices, Rule::always},
                                {"networks", &kNetworks}, {"volumes", &kNamedVolumes},
                                {"secrets", &kSecrets},   {"configs", &kConfigs},
                                {"models", &kModels}};

}  // namespace

constinit const Shape kProjectShape = table(kProjectKeys);

const Key* Shape::end() const noexcept { return keys + key_count; }

const Shape* Shape::find(std::string_view key) const noexcept {
  for (const Key& known : *this)
    if (known.name == key) return known.shape;
  return values;
}

}  // namespace locald::project::compose
