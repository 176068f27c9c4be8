#include "builder/user_lookup.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>

#include "base/strings.h"

namespace locald::builder {
namespace {

constexpr std::size_t kMaxLine = 64u << 10;

std::optional<std::uint32_t> id(std::string_view text) {
  const auto number = parse_u64(text);
  // The last value is "no id" to the kernel (chown's -1).
  if (!number || *number >= std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Calls `visit` with the fields of each entry that has at least `fields` of them, until it returns
/// true.
bool each_entry(std::string_view text, std::size_t fields,
                const std::function<bool(const std::vector<std::string>&)>& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line[0] == '#' || line.size() > kMaxLine) continue;
    const std::vector<std::string> entry = split(line, ':');
    if (entry.size() >= fields && !entry[0].empty() && visit(entry)) return true;
  }
  return false;
}

Error unknown(std::string_view what, std::string_view name, std::string_view text,
              const std::string& problem) {
  std::vector<std::string> names;
  each_entry(text, 3, [&](const auto& entry) {
    names.push_back(entry[0]);
    return names.size() == 200;
  });
  const std::string file = what == "user" ? "/etc/passwd" : "/etc/group";
  Error error(Errc::not_found, std::string(what) + " \"" + std::string(name) +
                                   "\": not in the image's " + file +
                                   (problem.empty() ? "" : " (" + problem + ")"));
  if (const auto near = did_you_mean(name, names))
    return std::move(error).with_hint("did you mean \"" + *near + "\"?");
  if (names.empty())
    return std::move(error).with_hint(
        "the image names nobody there: give a number (user = \"1000\")");
  names.resize(std::min<std::size_t>(names.size(), 8));
  return std::move(error).with_hint("it has " + join(names, ", ") +
                                    "; a number works too (user = \"1000\")");
}

}  // namespace

Result<void> check_user(std::string_view user) {
  const std::vector<std::string> parts = split(user, ':');
  if (parts.size() > 2)
    return Error(Errc::invalid_input, "invalid user \"" + std::string(user) + "\"")
        .with_hint("write USER or USER:GROUP, each a name or a number");
  for (const std::string& part : parts)
    if (!part.empty() && all_digits(part) && !id(part))
      return Error(Errc::invalid_input,
                   "user \"" + std::string(user) + "\": invalid id " + part + " (0 to 4294967294)");
  return {};
}

Result<ResolvedUser> resolve_user(std::string_view user, const UserDatabase& database) {
  TRY(check_user(user));
  const std::size_t colon = user.find(':');
  const std::string_view who = user.substr(0, colon);
  const std::string_view group =
      colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);

  ResolvedUser resolved;
  bool known = false;
  const bool numeric = who.empty() || all_digits(who);
  if (numeric && !who.empty()) resolved.uid = *id(who);
  each_entry(database.passwd, 4, [&](const std::vector<std::string>& entry) {
    const auto uid = id(entry[2]), gid = id(entry[3]);
    if (!uid || !gid || (numeric ? *uid != resolved.uid : entry[0] != who)) return false;
    known = true;
    resolved.uid = *uid;
    resolved.gid = *gid;
    resolved.name = entry[0];
    if (entry.size() > 5 && entry[5].starts_with('/')) resolved.home = entry[5];
    return true;
  });
  if (!known && !numeric) return unknown("user", who, database.passwd, database.problem);

  if (!group.empty()) {
    if (all_digits(group)) {
      resolved.gid = *id(group);
    } else if (!each_entry(database.group, 3, [&](const std::vector<std::string>& entry) {
                 const auto gid = id(entry[2]);
                 if (!gid || entry[0] != group) return false;
                 resolved.gid = *gid;
                 return true;
               })) {
      return unknown("group", group, database.group, database.problem);
    }
  } else if (known) {
    each_entry(database.group, 4, [&](const std::vector<std::string>& entry) {
      const auto gid = id(entry[2]);
      const std::vector<std::string> members = split(entry[3], ',');
      if (gid && std::find(members.begin(), members.end(), resolved.name) != members.end())
        resolved.additional_gids.push_back(*gid);
      return false;
    });
  }
  resolved.additional_gids.push_back(resolved.gid);
  std::sort(resolved.additional_gids.begin(), resolved.additional_gids.end());
  resolved.additional_gids.erase(
      std::unique(resolved.additional_gids.begin(), resolved.additional_gids.end()),
      resolved.additional_gids.end());
  return resolved;
}

}  // namespace locald::builder
