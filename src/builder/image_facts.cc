#include "builder/image_facts.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/sys/fs_at.h"

namespace locald::builder {
namespace {

constexpr std::array<std::string_view, 4> kKinds = {"missing", "folder", "file", "other"};

Json attributes_to_json(const Attributes& a) {
  return Json::array({a.uid, a.gid, a.mode, a.plain});
}

Result<Attributes> attributes_from_json(const Json& json) {
  const Json::Array& items = json.as_array();
  if (items.size() != 4 || !items[0].is_int() || !items[1].is_int() || !items[2].is_int() ||
      !items[3].is_bool())
    return Error(Errc::invalid_input, "facts: not attributes");
  Attributes a;
  a.uid = static_cast<std::uint32_t>(items[0].as_int());
  a.gid = static_cast<std::uint32_t>(items[1].as_int());
  a.mode = static_cast<std::uint32_t>(items[2].as_int()) & 07777u;
  a.plain = items[3].as_bool();
  return a;
}

}  // namespace

const PathFacts* ImageFacts::find(const std::string& path) const {
  const auto found = paths.find(path);
  return found == paths.end() ? nullptr : &found->second;
}

std::vector<std::string> ImageFacts::missing_of(const std::vector<std::string>& wanted) const {
  std::vector<std::string> out;
  for (const std::string& path : wanted)
    if (!paths.contains(path)) out.push_back(path);
  return out;
}

Json ImageFacts::to_json() const {
  Json::Object list;
  for (const auto& [path, facts] : paths) {
    Json::Array ancestors;
    for (const Attributes& a : facts.ancestors) ancestors.push_back(attributes_to_json(a));
    list.emplace_back(path, Json::object({{"kind", kKinds[static_cast<std::size_t>(facts.kind)]},
                                          {"resolved", facts.resolved},
                                          {"attributes", attributes_to_json(facts.attributes)},
                                          {"empty", facts.empty},
                                          {"ancestors", Json(std::move(ancestors))}}));
  }
  return Json::object({{"format", kFormat},
                       {"root", attributes_to_json(root)},
                       {"passwd", users.passwd},
                       {"group", users.group},
                       {"problem", users.problem},
                       {"paths", Json(std::move(list))}});
}

Result<ImageFacts> ImageFacts::from_json(const Json& json) {
  if (TRY(json.get_int("format")) != kFormat)
    return Error(Errc::unsupported, "facts: another format");
  ImageFacts facts;
  facts.root = TRY(attributes_from_json(json["root"]));
  facts.users.passwd = TRY(json.get_string("passwd"));
  facts.users.group = TRY(json.get_string("group"));
  facts.users.problem = TRY(json.get_string("problem"));
  for (const auto& [path, value] : json["paths"].as_object()) {
    PathFacts one;
    const std::string kind = TRY(value.get_string("kind"));
    const auto* found = std::find(kKinds.begin(), kKinds.end(), kind);
    if (found == kKinds.end())
      return Error(Errc::invalid_input, "facts: unknown kind \"" + kind + "\"");
    one.kind = static_cast<PathFacts::Kind>(found - kKinds.begin());
    one.resolved = TRY(value.get_string("resolved"));
    one.attributes = TRY(attributes_from_json(value["attributes"]));
    one.empty = TRY(value.get_bool("empty"));
    for (const Json& a : value["ancestors"].as_array())
      one.ancestors.push_back(TRY(attributes_from_json(a)));
    facts.paths.emplace(path, std::move(one));
  }
  return facts;
}

std::optional<ImageFacts> ImageFacts::load(const std::string& file, std::string_view map_id) {
  const auto text = read_file(file, 32u << 20);
  if (!text) return std::nullopt;
  // A damaged file costs little: the facts are collected again.
  const auto json =
      Json::parse(*text, {.max_bytes = 32u << 20, .max_depth = 16, .reject_duplicates = false});
  if (!json || (*json)["map_id"].as_string() != map_id) return std::nullopt;
  auto facts = from_json(*json);
  if (!facts) return std::nullopt;
  return std::move(facts).value();
}

Result<void> ImageFacts::save(const std::string& file, std::string_view map_id) const {
  TRY(make_dirs(file.substr(0, file.rfind('/'))));
  Json json = to_json();
  json.set("map_id", map_id);
  return write_file_atomic(file, json.dump());
}

const std::vector<std::string>& common_paths() {
  static const std::vector<std::string> paths = {"/dev",        "/proc",         "/sys",
                                                 "/run",        "/tmp",          "/etc",
                                                 "/etc/hosts",  "/etc/hostname", "/etc/resolv.conf",
                                                 "/etc/passwd", "/etc/group"};
  return paths;
}

}  // namespace locald::builder
