#include "builder/image_facts.h"

#include <array>
#include <utility>

#include "base/json/fields.h"
#include "base/sys/fs_at.h"

namespace locald {

template <>
struct EnumWords<builder::PathFacts::Kind> {
  static constexpr std::array<std::string_view, 4> kWords = {"missing", "folder", "file", "other"};
};

namespace builder {
namespace {

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

/// Attributes are short, since there are many: [uid, gid, mode, plain].
struct PathEntry {
  PathFacts::Kind kind = PathFacts::Kind::missing;
  std::string resolved;
  Json attributes;
  bool empty = false;
  std::vector<Json> ancestors;

  static const Fields& fields() {
    using E = PathEntry;
    static const Fields table = FieldsOf<E>("path")
                                    .required("kind", &E::kind, "")
                                    .required("resolved", &E::resolved, "")
                                    .required("attributes", &E::attributes, "")
                                    .required("empty", &E::empty, "")
                                    .always("ancestors", &E::ancestors, "");
    return table;
  }
};

struct FactsFile {
  int format = 0;
  Json root;  ///< attributes
  std::string passwd, group, problem;
  std::map<std::string, PathEntry> paths;

  static const Fields& fields() {
    using F = FactsFile;
    static const Fields table = FieldsOf<F>("facts")
                                    .required("format", &F::format, "")
                                    .required("root", &F::root, "")
                                    .required("passwd", &F::passwd, "")
                                    .required("group", &F::group, "")
                                    .required("problem", &F::problem, "")
                                    .always("paths", &F::paths, "");
    return table;
  }
};

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
  FactsFile out{.format = kFormat,
                .root = attributes_to_json(root),
                .passwd = users.passwd,
                .group = users.group,
                .problem = users.problem};
  for (const auto& [path, facts] : paths) {
    PathEntry& entry = out.paths[path];
    entry.kind = facts.kind;
    entry.resolved = facts.resolved;
    entry.attributes = attributes_to_json(facts.attributes);
    entry.empty = facts.empty;
    for (const Attributes& a : facts.ancestors) entry.ancestors.push_back(attributes_to_json(a));
  }
  return encode(out);
}

Result<ImageFacts> ImageFacts::from_json(const Json& json) {
  if (TRY(json.get_int("format")) != kFormat)
    return Error(Errc::unsupported, "facts: another format");
  const FactsFile read = TRY(decode<FactsFile>(json, Reading::tolerant));
  ImageFacts facts;
  facts.root = TRY(attributes_from_json(read.root));
  facts.users.passwd = read.passwd;
  facts.users.group = read.group;
  facts.users.problem = read.problem;
  for (const auto& [path, entry] : read.paths) {
    PathFacts& one = facts.paths[path];
    one.kind = entry.kind;
    one.resolved = entry.resolved;
    one.attributes = TRY(attributes_from_json(entry.attributes));
    one.empty = entry.empty;
    for (const Json& a : entry.ancestors) one.ancestors.push_back(TRY(attributes_from_json(a)));
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

}  // namespace builder
}  // namespace locald
