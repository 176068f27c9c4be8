#pragma once
#include <string_view>

namespace locald::ipc {

/// "0.1.0": the project's version in CMakeLists.txt.
extern const std::string_view kVersion;

/// "20261123171512.1a2b3c4d5e6f": when the source was committed (UTC) and its
/// commit; outside of a git tree the newest source file's time and "source". Orders builds of
/// one version; equal strings are equal builds.
extern const std::string_view kBuild;

struct Build {
  std::string_view version, build;
};

/// < 0 where `a` is older than `b`, 0 where they are the same, > 0 where it is
/// newer. Version first (number by number), then the build's time; two builds of one
/// second that differ count as the same.
int compare(const Build& a, const Build& b);

}  // namespace locald::ipc
