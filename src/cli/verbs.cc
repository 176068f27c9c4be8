#include "cli/verbs.h"

namespace locald::cli {

std::span<const VerbGroup> verb_groups() {
  static const VerbGroup kGroups[] = {
      {"services of a project",
       {&kUp, &kDown, &kStart, &kStop, &kRestart, &kWait, &kStatus, &kPorts, &kLogs, &kOpen}},
      {"commands in them, and a closer look",
       {&kRun, &kExec, &kAttach, &kCp, &kTop, &kStats, &kEvents, &kInspect}},
      {"apps from their source", {&kBuild, &kCacheLs, &kCacheRm, &kCachePrune}},
      {"containers", {&kContainerRun, &kContainerLs, &kContainerRm}},
      {"images",
       {&kImagePull, &kImageLs, &kImageRm, &kImageInspect, &kImageHistory, &kImageTag, &kImagePrune,
        &kImageUnpack, &kImageExport, &kImagePush, &kImageRebase}},
      {"registries and the disk", {&kLogin, &kLogout, &kSystemDf, &kSystemPrune}},
      {"files and projects", {&kInit, &kConfigCheck, &kConfigSchema, &kProjectLs, &kProjectForget}},
      {"this program",
       {&kDoctor, &kAutostartOn, &kAutostartOff, &kAutostartRun, &kServerRun, &kServerStart,
        &kServerStop, &kServerRestart, &kServerStatus, &kCompletion, &kVersion}}};
  return kGroups;
}

std::span<const Verb* const> all_verbs() {
  static const std::vector<const Verb*> all = [] {
    std::vector<const Verb*> verbs;
    for (const VerbGroup& group : verb_groups())
      verbs.insert(verbs.end(), group.verbs.begin(), group.verbs.end());
    return verbs;
  }();
  return all;
}

}  // namespace locald::cli
