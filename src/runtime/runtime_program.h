#pragma once
#include <string>

namespace locald::runtime {

/// Where the package locald-runc (`scripts/package --runc`) has its runc: apart from the
/// distribution's, which stays what `runc` means to everybody else.
inline constexpr char kPackagedRunc[] = "/usr/libexec/locald/runc";

/// The OCI runtime that `name` stands for: a path stands for itself. "runc" is the one beside
/// locald's own programs, else `packaged`, else, as any other name, the one in `search_path`
/// (folders, joined by ':').
/// @return its path; empty where there is none
std::string find_runtime(const std::string& name, const std::string& search_path,
                         const std::string& packaged = kPackagedRunc);

}  // namespace locald::runtime
