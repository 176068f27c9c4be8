#pragma once
#include <span>
#include <vector>

#include "cli/args.h"

namespace locald::cli {

/// All verbs, in the order of `locald --help`. One file each defines them; what is
/// listed here and in verbs.cc is what exists.
extern const Verb kUp, kDown, kStart, kStop, kRestart, kStatus, kPorts, kLogs, kExec, kRun, kAttach;
extern const Verb kCp, kEvents, kInspect, kOpen, kStats, kTop, kWait;
extern const Verb kBuild, kCacheLs, kCacheRm, kCachePrune;
extern const Verb kContainerRun, kContainerLs, kContainerRm;
extern const Verb kImagePull, kImageLs, kImageRm, kImageUnpack;
extern const Verb kImageExport, kImagePush, kImageRebase;
extern const Verb kImageHistory, kImageInspect, kImagePrune, kImageTag;
extern const Verb kLogin, kLogout, kSystemDf, kSystemPrune;
extern const Verb kAutostartOff, kAutostartOn, kAutostartRun, kCompletion, kConfigCheck,
    kConfigSchema, kDoctor, kInit;
extern const Verb kServerRun, kServerStart, kServerStop, kServerRestart, kServerStatus;
extern const Verb kProjectLs, kProjectForget, kVersion;

/// As `locald --help` shows them.
struct VerbGroup {
  const char* title;
  std::vector<const Verb*> verbs;
};
std::span<const VerbGroup> verb_groups();
std::span<const Verb* const> all_verbs();  ///< of all groups

}  // namespace locald::cli
