#include "cli/verbs.h"

namespace locald::cli {

std::span<const Verb* const> all_verbs() {
  static constexpr const Verb* kVerbs[] = {
      &kUp,           &kDown,         &kStart,         &kStop,          &kRestart,
      &kStatus,       &kPorts,        &kLogs,          &kExec,          &kAttach,
      &kBuild,        &kContainerRun, &kContainerLs,   &kContainerRm,   &kImagePull,
      &kImageLs,      &kImageRm,      &kImageUnpack,   &kImageExport,   &kImagePush,
      &kImageRebase,  &kCacheLs,      &kCacheRm,       &kCachePrune,    &kConfigCheck,
      &kConfigSchema, &kDoctor,       &kProjectLs,     &kProjectForget, &kServerRun,
      &kServerStart,  &kServerStop,   &kServerRestart, &kServerStatus,  &kVersion};
  return kVerbs;
}

}  // namespace locald::cli
