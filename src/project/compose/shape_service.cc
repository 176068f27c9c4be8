#include "project/compose/shape_parts.h"

namespace locald::project::compose {
namespace {
constexpr Key kBlockRateKeys[] = {{"path", &kTextShape}, {"rate", &kBytesShape}};
constexpr Shape kBlockRate = table(kBlockRateKeys);
constexpr Shape kBlockRates = {.kinds = kList, .items = &kBlockRate};
constexpr Key kBlockWeightKeys[] = {{"path", &kTextShape}, {"weight", &kWholeShape}};
constexpr Shape kBlockWeight = table(kBlockWeightKeys);
constexpr Shape kBlockWeights = {.kinds = kList, .items = &kBlockWeight};
constexpr Key kBlockKeys[] = {
    {"device_read_bps", &kBlockRates},  {"device_read_iops", &kBlockRates},
    {"device_write_bps", &kBlockRates}, {"device_write_iops", &kBlockRates},
    {"weight", &kWholeShape},           {"weight_device", &kBlockWeights}};
constexpr Shape kBlock = table(kBlockKeys);

constexpr Shape kCondition = {
    .as = As::text, .words = "service_started|service_healthy|service_completed_successfully"};
constexpr Key kDependencyKeys[] = {
    {"restart", &kFlagShape}, {"required", &kFlagShape, Rule::always}, {"condition", &kCondition}};
constexpr Shape kDependency = requiring(table(kDependencyKeys), "condition");
constexpr Shape kDependsOn = {.kinds = kMap | kList,
                              .merge = Merge::dependencies,
                              .form = Form::dependencies,
                              .unique = true,
                              .names = Names::plain,
                              .values = &kDependency,
                              .items = &kTextShape};

constexpr Key kDeviceKeys[] = {
    {"source", &kTextShape}, {"target", &kTextShape}, {"permissions", &kTextShape}};
constexpr Shape kDevice = with(requiring(table(kDeviceKeys, kText), "source"), Form::device);
constexpr Shape kDevices = {.kinds = kList, .index = Index::device, .items = &kDevice};

constexpr Key kEnvFileKeys[] = {
    {"path", &kTextShape}, {"format", &kTextShape}, {"required", &kFlagShape, Rule::if_false}};
constexpr Shape kEnvFile = requiring(table(kEnvFileKeys, kText), "path");
constexpr Shape kEnvFiles = {.kinds = kText | kList,
                             .merge = Merge::as_list,
                             .index = Index::env_file,
                             .form = Form::env_file,
                             .items = &kEnvFile};
constexpr Shape kLabelFiles = {.kinds = kText | kList,
                               .merge = Merge::as_list,
                               .form = Form::one_text,
                               .as = As::texts,
                               .items = &kTextShape};

constexpr Key kExtendsKeys[] = {{"service", &kTextShape}, {"file", &kTextShape}};
constexpr Shape kExtends = with(requiring(table(kExtendsKeys, kText), "service"), Form::extends);

constexpr Shape kProviderOption = {.kinds = kText | kNumber | kBool | kList,
                                   .items = &kPairValueShape};
constexpr Shape kProviderOptions = {
    .kinds = kMap, .as = As::lists, .names = Names::any, .values = &kProviderOption};
constexpr Key kProviderKeys[] = {{"type", &kTextShape}, {"options", &kProviderOptions}};
constexpr Shape kProvider = requiring(table(kProviderKeys), "type");

constexpr Shape kTest = {
    .kinds = kText | kList, .merge = Merge::replace, .as = As::test, .items = &kTextShape};
constexpr Key kHealthKeys[] = {{"disable", &kFlagShape},
                               {"interval", &kDurationShape, Rule::if_there},
                               {"retries", &kNumberShape, Rule::if_there},
                               {"test", &kTest},
                               {"timeout", &kDurationShape, Rule::if_there},
                               {"start_period", &kDurationShape, Rule::if_there},
                               {"start_interval", &kDurationShape, Rule::if_there}};
constexpr Shape kHealth = table(kHealthKeys);

constexpr Key kLoggingKeys[] = {{"driver", &kTextShape}, {"options", &kOptionsShape}};
constexpr Shape kLogging = with(table(kLoggingKeys), Merge::logging);

constexpr Key kServiceModelKeys[] = {{"endpoint_var", &kTextShape}, {"model_var", &kTextShape}};
constexpr Shape kServiceModel = table(kServiceModelKeys, kNull);
constexpr Shape kServiceModels = {.kinds = kMap | kList,
                                  .merge = Merge::members,
                                  .form = Form::members,
                                  .unique = true,
                                  .names = Names::plain,
                                  .values = &kServiceModel,
                                  .items = &kTextShape};

constexpr Shape kWords = with(kTextsShape, Index::word);
constexpr Key kMemberKeys[] = {{"aliases", &kWords},
                               {"interface_name", &kTextShape},
                               {"ipv4_address", &kTextShape},
                               {"ipv6_address", &kTextShape},
                               {"link_local_ips", &kWords},
                               {"mac_address", &kTextShape},
                               {"driver_opts", &kOptionsShape},
                               {"priority", &kNumberShape},
                               {"gw_priority", &kNumberShape}};
constexpr Shape kMember = table(kMemberKeys, kNull);
constexpr Shape kMembers = {.kinds = kMap | kList,
                            .merge = Merge::members,
                            .form = Form::members,
                            .unique = true,
                            .names = Names::plain,
                            .values = &kMember,
                            .items = &kTextShape};

constexpr Key kPortKeys[] = {{"name", &kTextShape},         {"mode", &kTextShape},
                             {"host_ip", &kTextShape},      {"target", &kWholeShape},
                             {"published", &kAnyTextShape}, {"protocol", &kTextShape},
                             {"app_protocol", &kTextShape}};
constexpr Shape kPort = table(kPortKeys, kText | kNumber);
constexpr Shape kPorts = {
    .kinds = kList, .index = Index::port, .form = Form::ports, .unique = true, .items = &kPort};

constexpr Shape kVolumeType = {.as = As::text, .words = "bind|volume|tmpfs|cluster|npipe|image"};
constexpr Shape kRecursive = {.as = As::text, .words = "enabled|disabled|writable|readonly"};
constexpr Shape kSelinux = {.as = As::text, .words = "z|Z"};
constexpr Key kBindKeys[] = {{"propagation", &kTextShape},
                             {"create_host_path", &kFlagShape, Rule::if_false},
                             {"recursive", &kRecursive},
                             {"selinux", &kSelinux}};
constexpr Shape kBind = table(kBindKeys);
constexpr Key kVolumeOptionKeys[] = {
    {"labels", &kLabelsShape}, {"nocopy", &kFlagShape}, {"subpath", &kTextShape}};
constexpr Shape kVolumeOptions = table(kVolumeOptionKeys);
constexpr Shape kTmpfsMode = {.kinds = kNumber | kText, .as = As::whole};
constexpr Key kTmpfsKeys[] = {{"size", &kBytesShape}, {"mode", &kTmpfsMode}};
constexpr Shape kTmpfsOptions = table(kTmpfsKeys);
constexpr Key kImageOptionKeys[] = {{"subpath", &kTextShape}};
constexpr Shape kImageOptions = table(kImageOptionKeys);
constexpr Key kVolumeKeys[] = {{"type", &kVolumeType},
                               {"source", &kTextShape},
                               {"target", &kTextShape},
                               {"read_only", &kFlagShape},
                               {"consistency", &kTextShape},
                               {"bind", &kBind, Rule::if_there},
                               {"volume", &kVolumeOptions, Rule::if_there},
                               {"tmpfs", &kTmpfsOptions, Rule::if_there},
                               {"image", &kImageOptions, Rule::if_there}};
constexpr Shape kVolume = with(requiring(table(kVolumeKeys, kText), "type"), Form::volume);
constexpr Shape kServiceVolumes = {
    .kinds = kList, .index = Index::volume, .unique = true, .items = &kVolume};

constexpr Shape kCapabilities = with(kTextsShape, Index::word);
constexpr Shape kCgroup = {.as = As::text, .words = "host|private"};
constexpr Shape kPercent = {.kinds = kText | kWhole, .as = As::real, .low = 0, .high = 100};
constexpr Shape kNotNegative = {.kinds = kText | kWhole, .as = As::whole, .low = 0};
constexpr Shape kScore = {.kinds = kText | kWhole, .as = As::whole, .low = -1000, .high = 1000};
constexpr Shape kPid = {.kinds = kText | kNull, .as = As::text};
constexpr Shape kNumbers = {
    .kinds = kList, .as = As::texts, .unique = true, .items = &kAnyTextShape};
constexpr Shape kExpose = with(kNumbers, Index::expose);
constexpr Shape kMergedList = {.kinds = kList | kText,
                               .merge = Merge::as_list,
                               .index = Index::word,
                               .form = Form::one_text,
                               .as = As::texts,
                               .unique = true,
                               .items = &kTextShape};
constexpr Shape merged_words() {
  Shape out = kMergedList;
  out.kinds = kList;
  out.form = Form::none;
  return out;
}
constexpr Shape kMergedWords = merged_words();
constexpr Shape kServers = with(kMergedList, Form::servers);
constexpr Key kCredentialKeys[] = {
    {"config", &kTextShape}, {"file", &kTextShape}, {"registry", &kTextShape}};
constexpr Shape kCredential = table(kCredentialKeys);

constexpr Key kServiceKeys[] = {{"annotations", &kLabelsShape},
                                {"attach", &kFlagShape, Rule::if_there},
                                {"blkio_config", &kBlock, Rule::if_there},
                                {"build", &kBuildShape, Rule::if_there},
                                {"cap_add", &kCapabilities},
                                {"cap_drop", &kCapabilities},
                                {"cgroup", &kCgroup},
                                {"cgroup_parent", &kTextShape},
                                {"command", &kCommandShape, Rule::always},
                                {"configs", &kConfigMountsShape},
                                {"container_name", &kTextShape},
                                {"cpu_count", &kNotNegative},
                                {"cpu_percent", &kPercent},
                                {"cpu_period", &kNumberShape},
                                {"cpu_quota", &kNumberShape},
                                {"cpu_rt_period", &kNumberShape},
                                {"cpu_rt_runtime", &kNumberShape},
                                {"cpu_shares", &kNumberShape},
                                {"cpus", &kRealShape},
                                {"cpuset", &kTextShape},
                                {"credential_spec", &kCredential, Rule::if_there},
                                {"depends_on", &kDependsOn},
                                {"deploy", &kDeployShape, Rule::if_there},
                                {"develop", &kDevelopShape, Rule::if_there},
                                {"device_cgroup_rules", &kTextsShape},
                                {"devices", &kDevices},
                                {"dns", &kServers},
                                {"dns_opt", &kMergedWords},
                                {"dns_search", &kMergedList},
                                {"domainname", &kTextShape},
                                {"entrypoint", &kCommandShape, Rule::always},
                                {"env_file", &kEnvFiles},
                                {"environment", &kEnvironmentShape},
                                {"expose", &kExpose},
                                {"extends", &kExtends, Rule::if_there},
                                {"external_links", &kTextsShape},
                                {"extra_hosts", &kExtraHostsShape},
                                {"gpus", &kGpusShape},
                                {"group_add", &kNumbers},
                                {"healthcheck", &kHealth, Rule::if_there},
                                {"hostname", &kTextShape},
                                {"image", &kTextShape},
                                {"init", &kFlagShape, Rule::if_there},
                                {"ipc", &kTextShape},
                                {"isolation", &kTextShape},
                                {"label_file", &kLabelFiles},
                                {"labels", &kLabelsShape},
                                {"links", &kCapabilities},
                                {"logging", &kLogging, Rule::if_there},
                                {"mac_address", &kTextShape},
                                {"mem_limit", &kBytesShape},
                                {"mem_reservation", &kBytesShape},
                                {"mem_swappiness", &kBytesShape},
                                {"memswap_limit", &kBytesShape},
                                {"models", &kServiceModels},
                                {"network_mode", &kTextShape},
                                {"networks", &kMembers},
                                {"oom_kill_disable", &kFlagShape},
                                {"oom_score_adj", &kScore},
                                {"pid", &kPid},
                                {"pids_limit", &kNumberShape},
                                {"platform", &kTextShape},
                                {"ports", &kPorts},
                                {"post_start", &kHooksShape},
                                {"pre_start", &kPreStartsShape},
                                {"pre_stop", &kHooksShape},
                                {"privileged", &kFlagShape},
                                {"profiles", &kCapabilities},
                                {"provider", &kProvider, Rule::if_there},
                                {"pull_policy", &kTextShape},
                                {"pull_refresh_after", &kTextShape},
                                {"read_only", &kFlagShape},
                                {"restart", &kTextShape},
                                {"runtime", &kTextShape},
                                {"scale", &kWholeShape, Rule::if_there},
                                {"secrets", &kSecretMountsShape},
                                {"security_opt", &kTextsShape},
                                {"shm_size", &kBytesShape},
                                {"stdin_open", &kFlagShape},
                                {"stop_grace_period", &kDurationShape, Rule::if_there},
                                {"stop_signal", &kTextShape},
                                {"storage_opt", &kOptionsShape},
                                {"sysctls", &kLabelsShape},
                                {"tmpfs", &kMergedList},
                                {"tty", &kFlagShape},
                                {"ulimits", &kUlimitsShape},
                                {"use_api_socket", &kFlagShape},
                                {"user", &kTextShape},
                                {"userns_mode", &kTextShape},
                                {"uts", &kTextShape},
                                {"volumes", &kServiceVolumes},
                                {"volumes_from", &kTextsShape},
                                {"working_dir", &kTextShape}};

}  // namespace

constinit const Shape kServiceShape = table(kServiceKeys);

}  // namespace locald::project::compose
