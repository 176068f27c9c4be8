#include "cli/verbs.h"

namespace locald::cli {

std::span<const Verb* const> all_verbs() {
  static constexpr const Verb* kVerbs[] = {
      &kUp,           &kDown,          &kStart,     &kStop,         &kRestart,     &kStatus,
      &kLogs,         &kExec,          &kAttach,    &kContainerRun, &kContainerLs, &kContainerRm,
      &kBuild,
      &kImagePull,    &kImageLs,       &kImageRm,   &kImageUnpack,  &kConfigCheck, &kDoctor,
      &kProjectLs,    &kProjectForget, &kServerRun, &kServerStart,  &kServerStop,  &kServerRestart,
      &kServerStatus, &kVersion};
  return kVerbs;
}

}  // namespace locald::cli
