#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace locald::builder {

/// Who a container's process is.
struct ResolvedUser {
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> additional_gids;  ///< sorted; holds `gid`
  std::string home = "/";                      ///< from passwd
  std::string name;                            ///< from passwd; empty where it has none
};

/// What the image says of its users: the texts of its own /etc/passwd and
/// /etc/group, never the host's.
struct UserDatabase {
  std::string passwd, group;
  std::string problem;  ///< why they were not read ("etc/passwd is a symlink out …"); for the
                        ///< message when a name is asked for
};

/// The form alone, as resolve_user() reads it: USER or USER:GROUP, numbers in range. Pure.
/// @return Errc::invalid_input
Result<void> check_user(std::string_view user);

/// Reads "", "name", "uid", "name:group", "uid:gid" and the mixtures; "" is root.
///
/// Digits are a number, never a name (CVE-2024-40635), and must fit 32
/// bits; a number need not be in passwd, its gid is then 0. The groups that list the
/// user are added unless a group is given, as Docker does. Lines of over 64 KiB and
/// lines that are not entries are skipped.
/// @return Errc::not_found for an unknown name, naming some that are there;
///         Errc::invalid_input for a number out of range.
Result<ResolvedUser> resolve_user(std::string_view user, const UserDatabase& database);

}  // namespace locald::builder
