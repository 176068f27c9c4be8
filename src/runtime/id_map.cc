#include "runtime/id_map.h"

#include <algorithm>
#include <limits>

#include "base/strings.h"

namespace locald::runtime {
namespace {

constexpr std::uint32_t kWanted = 65536;

/// A range that nobody has: after the highest in the file, 100000 at least.
std::string mend(const std::vector<SubidLine>& lines, const std::string& name) {
  std::uint64_t start = 100000;
  for (const SubidLine& line : lines)
    start = std::max<std::uint64_t>(start, std::uint64_t{line.range.start} + line.range.count);
  const std::string range = std::to_string(start) + "-" + std::to_string(start + kWanted - 1);
  return "sudo usermod --add-subuids " + range + " --add-subgids " + range + " " +
         shell_quote(name) + ", then locald server restart";
}

bool overlap(const SubidRange& a, const SubidRange& b) {
  return std::uint64_t{a.start} < std::uint64_t{b.start} + b.count &&
         std::uint64_t{b.start} < std::uint64_t{a.start} + a.count;
}

}  // namespace

std::vector<SubidLine> parse_subids(const std::string& text) {
  std::vector<SubidLine> lines;
  for (const std::string& line : split(text, '\n')) {
    const auto fields = split(trim(line), ':');
    if (fields.size() != 3 || fields[0].empty()) continue;
    const auto start = parse_u64(fields[1]);
    const auto count = parse_u64(fields[2]);
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
    if (!start || !count || *count == 0 || *start > kMax || *count > kMax || *start + *count > kMax)
      continue;
    lines.push_back(
        {fields[0], {static_cast<std::uint32_t>(*start), static_cast<std::uint32_t>(*count)}});
  }
  return lines;
}

Result<SubidRange> find_subids(const std::vector<SubidLine>& lines, const std::string& name,
                               std::uint32_t uid, const std::string& file) {
  const std::string number = std::to_string(uid);
  auto own = [&](const SubidLine& line) { return line.owner == name || line.owner == number; };
  const SubidRange* found = nullptr;
  std::uint32_t largest = 0;
  for (const SubidLine& line : lines) {
    if (!own(line)) continue;
    largest = std::max(largest, line.range.count);
    if (found == nullptr && line.range.count >= kWanted) found = &line.range;
  }
  if (found == nullptr) {
    const std::string have = largest == 0 ? "No" : "Only " + std::to_string(largest);
    return Error(Errc::not_found, have + " subordinate ids for " + name + " in " + file)
        .with_hint(mend(lines, name));
  }
  for (const SubidLine& line : lines)
    if (!own(line) && overlap(*found, line.range))
      return Error(Errc::denied, "The subordinate ids of " + name + " in " + file +
                                     " overlap with those of " + line.owner +
                                     ": each could reach the other's containers")
          .with_hint("remove one of the two lines; " + mend(lines, name));
  return *found;
}

}  // namespace locald::runtime
