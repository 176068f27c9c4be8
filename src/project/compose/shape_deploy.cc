#include "project/compose/shape_parts.h"

namespace locald::project::compose {
namespace {
constexpr Shape kCount = {.kinds = kText | kWhole, .as = As::count};
constexpr Key kDeviceRequestKeys[] = {{"capabilities", &kTextsShape},
                                      {"count", &kCount},
                                      {"device_ids", &kTextsShape},
                                      {"driver", &kTextShape},
                                      {"options", &kPairsShape}};
constexpr Shape kGpu = table(kDeviceRequestKeys);
constexpr Shape kDeviceRequest = requiring(kGpu, "capabilities");
constexpr Shape kDeviceRequests = {.kinds = kList, .items = &kDeviceRequest};
constexpr Shape kMemory = {.as = As::bytes};
constexpr Shape kOrder = {.as = As::text, .words = "start-first|stop-first"};
constexpr Key kUpdateKeys[] = {{"parallelism", &kWholeShape, Rule::if_there},
                               {"delay", &kDurationShape},
                               {"failure_action", &kTextShape},
                               {"monitor", &kDurationShape},
                               {"max_failure_ratio", &kRealShape},
                               {"order", &kOrder}};
constexpr Shape kUpdate = table(kUpdateKeys);
constexpr Key kDiscreteKeys[] = {{"kind", &kTextShape, Rule::always},
                                 {"value", &kNumberShape, Rule::always}};
constexpr Shape kDiscrete = table(kDiscreteKeys);
constexpr Key kGenericKeys[] = {{"discrete_resource_spec", &kDiscrete, Rule::if_there}};
constexpr Shape kGeneric = table(kGenericKeys);
constexpr Shape kGenerics = {.kinds = kList, .items = &kGeneric};
constexpr Key kLimitKeys[] = {{"cpus", &kRealShape}, {"memory", &kMemory}, {"pids", &kWholeShape}};
constexpr Shape kLimits = table(kLimitKeys);
constexpr Key kReservationKeys[] = {{"cpus", &kRealShape},
                                    {"memory", &kMemory},
                                    {"generic_resources", &kGenerics},
                                    {"devices", &kDeviceRequests}};
constexpr Shape kReservations = table(kReservationKeys);
constexpr Key kResourceKeys[] = {{"limits", &kLimits, Rule::if_there},
                                 {"reservations", &kReservations, Rule::if_there}};
constexpr Shape kResources = table(kResourceKeys);
constexpr Key kRestartKeys[] = {{"condition", &kTextShape},
                                {"delay", &kDurationShape, Rule::if_there},
                                {"max_attempts", &kWholeShape, Rule::if_there},
                                {"window", &kDurationShape, Rule::if_there}};
constexpr Shape kRestart = table(kRestartKeys);
constexpr Key kPreferenceKeys[] = {{"spread", &kTextShape}};
constexpr Shape kPreference = table(kPreferenceKeys);
constexpr Shape kPreferences = {.kinds = kList, .items = &kPreference};
constexpr Key kPlacementKeys[] = {{"constraints", &kRepeatedTextsShape},
                                  {"preferences", &kPreferences},
                                  {"max_replicas_per_node", &kWholeShape}};
constexpr Shape kPlacement = table(kPlacementKeys);
constexpr Key kDeployKeys[] = {{"mode", &kTextShape},
                               {"endpoint_mode", &kTextShape},
                               {"replicas", &kWholeShape, Rule::if_there},
                               {"labels", &kLabelsShape},
                               {"rollback_config", &kUpdate, Rule::if_there},
                               {"update_config", &kUpdate, Rule::if_there},
                               {"resources", &kResources, Rule::always},
                               {"restart_policy", &kRestart, Rule::if_there},
                               {"placement", &kPlacement, Rule::always}};

constexpr Key kHookKeys[] = {{"command", &kCommandShape, Rule::always},
                             {"user", &kTextShape},
                             {"privileged", &kFlagShape},
                             {"working_dir", &kTextShape},
                             {"environment", &kPairsShape}};
constexpr Shape kHook = requiring(table(kHookKeys), "command");
constexpr Key kPreStartKeys[] = {{"command", &kCommandShape, Rule::always},
                                 {"image", &kTextShape},
                                 {"user", &kTextShape},
                                 {"privileged", &kFlagShape},
                                 {"working_dir", &kTextShape},
                                 {"environment", &kPairsShape},
                                 {"per_replica", &kFlagShape}};
constexpr Shape kPreStart = table(kPreStartKeys);
constexpr Shape kAction = {.as = As::text, .words = "rebuild|sync|restart|sync+restart|sync+exec"};
constexpr Key kWatchKeys[] = {{"ignore", &kOneOrMoreShape},
                              {"include", &kOneOrMoreShape},
                              {"path", &kTextShape, Rule::always},
                              {"action", &kAction, Rule::always},
                              {"target", &kTextShape},
                              {"exec", &kHook, Rule::always},
                              {"initial_sync", &kFlagShape}};
constexpr Shape kWatch = requiring(table(kWatchKeys), "path|action");
constexpr Shape kWatches = {.kinds = kList, .items = &kWatch};
constexpr Key kDevelopKeys[] = {{"watch", &kWatches}};

}  // namespace

constinit const Shape kGpusShape = {
    .kinds = kText | kList, .form = Form::gpus, .items = &kGpu, .words = "all"};
constinit const Shape kHooksShape = {.kinds = kList, .items = &kHook};
constinit const Shape kPreStartsShape = {.kinds = kList, .items = &kPreStart};
constinit const Shape kDeployShape = table(kDeployKeys, kNull);
constinit const Shape kDevelopShape = table(kDevelopKeys, kNull);

}  // namespace locald::project::compose
