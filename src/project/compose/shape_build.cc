#include "project/compose/shape_parts.h"

namespace locald::project::compose {
namespace {
constexpr Shape host_addresses() {
  Shape out = kRepeatedTextsShape;
  out.kinds |= kText;
  return out;
}
constexpr Shape kHostAddresses = host_addresses();
constexpr Key kUlimitKeys[] = {{"soft", &kWholeShape}, {"hard", &kWholeShape}};
constexpr Shape ulimit() {
  Shape out = requiring(table(kUlimitKeys), "soft|hard");
  out.kinds |= kWhole | kText;
  out.merge = Merge::replace;
  out.as = As::limit;
  return out;
}
constexpr Shape kUlimit = ulimit();

constexpr Shape kFileMode = {.kinds = kNumber | kText, .as = As::mode};
constexpr Key kMountKeys[] = {{"source", &kTextShape},
                              {"target", &kTextShape},
                              {"uid", &kTextShape},
                              {"gid", &kTextShape},
                              {"mode", &kFileMode, Rule::if_there}};
constexpr Shape kMount = with(table(kMountKeys, kText), Form::mount);
constexpr Shape kBuildSecrets = {.kinds = kList, .items = &kMount};

constexpr Shape kFlagText = {.kinds = kText | kBool, .form = Form::scalar_text, .as = As::text};
constexpr Shape kSsh = {.kinds = kMap | kList,
                        .form = Form::ssh,
                        .as = As::keys,
                        .unique = true,
                        .names = Names::any,
                        .values = &kPairValueShape,
                        .items = &kTextShape};
constexpr Shape kContexts = with(kLabelsShape, Form::pairs);
constexpr Shape kTags = with(kRepeatedTextsShape, Index::word);
constexpr Key kBuildKeys[] = {{"context", &kTextShape},
                              {"dockerfile", &kTextShape},
                              {"dockerfile_inline", &kTextShape},
                              {"entitlements", &kRepeatedTextsShape},
                              {"args", &kEnvironmentShape},
                              {"ssh", &kSsh},
                              {"labels", &kLabelsShape},
                              {"cache_from", &kRepeatedTextsShape},
                              {"cache_to", &kRepeatedTextsShape},
                              {"no_cache", &kFlagShape},
                              {"no_cache_filter", &kOneOrMoreShape},
                              {"additional_contexts", &kContexts},
                              {"network", &kTextShape},
                              {"provenance", &kFlagText},
                              {"sbom", &kFlagText},
                              {"pull", &kFlagShape},
                              {"target", &kTextShape},
                              {"shm_size", &kBytesShape},
                              {"extra_hosts", &kExtraHostsShape},
                              {"isolation", &kTextShape},
                              {"privileged", &kFlagShape},
                              {"secrets", &kBuildSecrets},
                              {"tags", &kTags},
                              {"ulimits", &kUlimitsShape},
                              {"platforms", &kRepeatedTextsShape}};

}  // namespace

constinit const Shape kCommandShape = {.kinds = kNull | kText | kList,
                                       .merge = Merge::replace,
                                       .as = As::command,
                                       .items = &kTextShape};
constinit const Shape kExtraHostsShape = {.kinds = kMap | kList,
                                          .merge = Merge::hosts,
                                          .as = As::hosts,
                                          .unique = true,
                                          .names = Names::any,
                                          .values = &kHostAddresses,
                                          .items = &kTextShape};
constinit const Shape kUlimitsShape = {.kinds = kMap, .names = Names::any, .values = &kUlimit};
constinit const Shape kSecretMountsShape = {
    .kinds = kList, .index = Index::secret, .items = &kMount};
constinit const Shape kConfigMountsShape = {
    .kinds = kList, .index = Index::config, .items = &kMount};
constinit const Shape kBuildShape = with(with(table(kBuildKeys, kText), Form::build), Merge::build);

}  // namespace locald::project::compose
