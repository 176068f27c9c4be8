#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace locald::runtime {

/// A range of subordinate ids on the host.
struct SubidRange {
  std::uint32_t start = 0, count = 0;
  friend bool operator==(const SubidRange&, const SubidRange&) = default;
};

struct SubidLine {
  std::string owner;  ///< name or uid, as written
  SubidRange range;
};

/// The lines of /etc/subuid or /etc/subgid that are well formed; others are skipped, as newuidmap
/// does.
std::vector<SubidLine> parse_subids(const std::string& text);

/// The range that `name` (uid `uid`) is given: the first of 65536 ids or more, lines by name and by
/// uid alike.
/// @param file  "/etc/subuid", for messages.
/// @return Errc::not_found: none (E-SUBUID-NONE), or only smaller ones (E-SUBUID-SMALL);
///         Errc::denied: it overlaps with another user's (E-SUBUID-OVERLAP). Each with the command
///         that repairs it.
Result<SubidRange> find_subids(const std::vector<SubidLine>& lines, const std::string& name,
                               std::uint32_t uid, const std::string& file);

}  // namespace locald::runtime
