#pragma once
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

/// Which known holes a runc has: by its version, less those that the distribution's package has
/// fixed without a new version.
namespace locald::server {

/// The holes that upstream's release `version` is known to have; empty for none, or when the text
/// is not a version. "1.1.5+ds1" counts as 1.1.5.
std::vector<std::string> runc_holes(const std::string& version);

/// A package of Debian or a child of it.
struct RuncPackage {
  std::string version;             ///< "1.1.5+ds1-1+deb12u1"
  std::vector<std::string> fixed;  ///< of the holes asked for, those that it has fixed
};

/// The package that `program` came with, and which of `holes` its changelog says it has fixed.
/// Asks dpkg-query and reads the changelog; where that was not installed (a container's image leaves
/// it out), the versions that we know of count. Blocking, some 50 ms.
/// @param sysroot  in front of all paths but `program`: tests put a false one here
/// @return nothing where `program` is of no package, or there is no dpkg
std::optional<RuncPackage> runc_package(const std::string& sysroot, const std::string& program,
                                        const std::vector<std::string>& holes,
                                        const std::stop_token& stop = {});

/// Whether a Debian changelog says that `hole` is fixed: its newest mention counts, and a mention
/// that says "revert" or "not fixed" does not count as one.
bool changelog_fixes(const std::string& changelog, const std::string& hole);

}  // namespace locald::server
