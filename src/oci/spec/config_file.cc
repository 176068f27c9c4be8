#include "oci/spec/config_file.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/strings.h"
#include "oci/spec/go_json.h"

namespace locald::oci {
namespace {

enum class Kind { flag, text, number, texts, map, set, health };
struct Member {
  const char* name;
  Kind kind;
};

/// Of `config`, in the order of v1.Config.
constexpr Member kConfig[] = {
    {"AttachStderr", Kind::flag}, {"AttachStdin", Kind::flag},   {"AttachStdout", Kind::flag},
    {"Cmd", Kind::texts},         {"Healthcheck", Kind::health}, {"Domainname", Kind::text},
    {"Entrypoint", Kind::texts},  {"Env", Kind::texts},          {"Hostname", Kind::text},
    {"Image", Kind::text},        {"Labels", Kind::map},         {"OnBuild", Kind::texts},
    {"OpenStdin", Kind::flag},    {"StdinOnce", Kind::flag},     {"Tty", Kind::flag},
    {"User", Kind::text},         {"Volumes", Kind::set},        {"WorkingDir", Kind::text},
    {"ExposedPorts", Kind::set},  {"ArgsEscaped", Kind::flag},   {"NetworkDisabled", Kind::flag},
    {"MacAddress", Kind::text},   {"StopSignal", Kind::text},    {"Shell", Kind::texts}};
/// Of `Healthcheck`, in the order of v1.HealthConfig.
constexpr Member kHealth[] = {{"Test", Kind::texts},
                              {"Interval", Kind::number},
                              {"Timeout", Kind::number},
                              {"StartPeriod", Kind::number},
                              {"Retries", Kind::number}};

/// The member that Go's decoder takes for `name`: the last one, whatever its case.
const Json& member(const Json& object, std::string_view name) {
  static const Json null;
  const std::string lower = to_lower(name);
  const Json* found = &null;
  for (const auto& [key, value] : object.as_object())
    if (to_lower(key) == lower) found = &value;
  return *found;
}

Error wrong(std::string_view name) {
  return {Errc::invalid_input,
          "the image's configuration: \"" + std::string(name) + "\" is of a wrong type"};
}

bool has_type(const Json& value, Kind kind) {
  if (value.is_null()) return true;
  switch (kind) {
    case Kind::flag:
      return value.is_bool();
    case Kind::text:
      return value.is_string();
    case Kind::number:
      return value.is_int();
    case Kind::texts:
      return value.is_array() && value.as_strings().size() == value.as_array().size();
    case Kind::map:
    case Kind::set:
    case Kind::health:
      break;
  }
  const bool map = kind == Kind::map;
  return value.is_object() &&
         std::all_of(value.as_object().begin(), value.as_object().end(), [&](const auto& item) {
           return !map || item.second.is_string() || item.second.is_null();
         });
}

Result<Json> read(const Json& object, std::string_view name, Kind kind) {
  const Json& value = member(object, name);
  if (!has_type(value, kind)) return wrong(name);
  if (kind != Kind::health || value.is_null()) return value;
  Json health = Json::object();
  for (const Member& inner : kHealth)
    health.set(inner.name, TRY(read(value, inner.name, inner.kind)));
  return health;
}

Result<std::string> read_text(const Json& object, std::string_view name) {
  return TRY(read(object, name, Kind::text)).as_string();
}

Result<std::vector<std::string>> read_texts(const Json& object, std::string_view name) {
  return TRY(read(object, name, Kind::texts)).as_strings();
}

/// The value's text, or "" where `omitempty` leaves it out.
std::string print(const Json& value, Kind kind) {
  switch (kind) {
    case Kind::flag:
      return value.as_bool() ? "true" : "";
    case Kind::text:
      return value.as_string().empty() ? "" : go_json(value);
    case Kind::number:
      return value.as_int() == 0 ? "" : go_json(value);
    case Kind::texts:
      return value.as_array().empty() ? "" : go_json(value);
    case Kind::map:
    case Kind::set: {
      if (value.as_object().empty()) return {};
      Json::Object plain;
      std::unordered_map<std::string, std::size_t> places;  // of two of one name the last counts
      for (const auto& [key, item] : value.as_object()) {
        const auto [place, fresh] = places.try_emplace(key, plain.size());
        if (fresh) plain.emplace_back(key, Json());
        plain[place->second].second = kind == Kind::set ? Json::object() : Json(item.as_string());
      }
      return go_json(Json(std::move(plain)));
    }
    case Kind::health: {
      if (value.is_null()) return {};
      GoObject out;
      for (const Member& inner : kHealth)
        out.raw_unless_empty(inner.name, print(value[inner.name], inner.kind));
      return std::move(out).str();
    }
  }
  return {};
}

std::string print_labels(const std::map<std::string, std::string>& labels) {
  if (labels.empty()) return {};
  GoObject out;
  for (const auto& [key, value] : labels) out.text(key, value);
  return std::move(out).str();
}

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

}  // namespace

Result<ConfigFile> ConfigFile::parse(const Json& document) {
  if (!document.is_object()) return wrong("");
  ConfigFile out;
  out.architecture = TRY(read_text(document, "architecture"));
  out.author = TRY(read_text(document, "author"));
  out.docker_version = TRY(read_text(document, "docker_version"));
  out.os = TRY(read_text(document, "os"));
  out.os_version = TRY(read_text(document, "os.version"));
  out.os_features = TRY(read_texts(document, "os.features"));
  out.variant = TRY(read_text(document, "variant"));
  const Json& rootfs = member(document, "rootfs");
  if (!rootfs.is_object()) return wrong("rootfs");
  out.rootfs_type = TRY(read_text(rootfs, "type"));
  out.diff_ids = TRY(read_texts(rootfs, "diff_ids"));
  const Json& history = member(document, "history");
  if (!history.is_null() && !history.is_array()) return wrong("history");
  for (const Json& entry : history.as_array()) {
    if (!entry.is_object()) return wrong("history");
    out.history.push_back({.author = TRY(read_text(entry, "author")),
                           .created_by = TRY(read_text(entry, "created_by")),
                           .comment = TRY(read_text(entry, "comment")),
                           .empty_layer = TRY(read(entry, "empty_layer", Kind::flag)).as_bool()});
  }
  const Json& config = member(document, "config");
  if (!config.is_null() && !config.is_object()) return wrong("config");
  for (const Member& known : kConfig) {
    Json value = TRY(read(config, known.name, known.kind));
    if (!value.is_null()) out.rest_.set(known.name, std::move(value));
  }
  out.cmd = out.rest_["Cmd"].as_strings();
  out.entrypoint = out.rest_["Entrypoint"].as_strings();
  out.env = out.rest_["Env"].as_strings();
  out.working_dir = out.rest_["WorkingDir"].as_string();
  for (const auto& [key, value] : out.rest_["Labels"].as_object())
    out.labels[key] = value.as_string();
  return out;
}

std::string ConfigFile::variable(std::string_view name) const {
  for (const std::string& pair : env) {
    const std::vector<std::string> parts = split(pair, '=');
    if (parts.size() == 2 && parts[0] == name) return parts[1];
  }
  return {};
}

void ConfigFile::set_variable(const std::string& name, const std::string& value) {
  const auto found = std::find_if(env.begin(), env.end(),
                                  [&](const std::string& pair) { return name_of(pair) == name; });
  if (found == env.end())
    env.push_back(name + "=" + value);
  else
    *found = name + "=" + value;
}

std::string ConfigFile::label(const std::string& name) const {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string() : found->second;
}

void ConfigFile::normalize_history() {
  std::erase_if(history, [](const History& entry) { return entry.empty_layer; });
  if (history.size() != diff_ids.size()) history.assign(diff_ids.size(), {});
}

void ConfigFile::add_layer(const std::string& diff_id, const std::string& created_by) {
  normalize_history();
  diff_ids.push_back(diff_id);
  history.push_back({.author = {}, .created_by = created_by, .comment = {}});
}

Result<ConfigFile> ConfigFile::rebased(const std::string& top_layer, const ConfigFile& base) const {
  const auto top = std::find(diff_ids.begin(), diff_ids.end(), top_layer);
  if (top == diff_ids.end())
    return Error(Errc::invalid_input, "the image has no layer " + top_layer +
                                          ", which its label gives as the run image's topmost");
  const auto below = static_cast<std::size_t>(top - diff_ids.begin()) + 1;
  for (const ConfigFile* file : {this, &base}) {
    const auto layers = std::count_if(file->history.begin(), file->history.end(),
                                      [](const History& entry) { return !entry.empty_layer; });
    if (static_cast<std::size_t>(layers) > file->diff_ids.size())
      return Error(Errc::invalid_input, "the history of the " +
                                            std::string(file == this ? "image" : "run image") +
                                            " speaks of more layers than there are");
  }
  ConfigFile out;
  out.rest_ = rest_;
  out.cmd = cmd;
  out.entrypoint = entrypoint;
  out.env = env;
  out.labels = labels;
  out.working_dir = working_dir;
  out.architecture = base.architecture;
  out.os = base.os;
  out.os_version = base.os_version;
  out.rootfs_type = "layers";
  out.diff_ids = base.diff_ids;
  out.diff_ids.insert(out.diff_ids.end(), diff_ids.begin() + static_cast<std::ptrdiff_t>(below),
                      diff_ids.end());
  out.history.assign(out.diff_ids.size(), {});
  return out;
}

std::string ConfigFile::write(std::string_view created) const {
  ConfigFile whole = *this;
  whole.normalize_history();
  std::string entries;
  for (const History& entry : whole.history) {
    GoObject text;
    text.text_unless_empty("author", entry.author)
        .text("created", created)
        .text_unless_empty("created_by", entry.created_by)
        .text_unless_empty("comment", entry.comment);
    entries += (entries.empty() ? "[" : ",") + std::move(text).str();
  }
  if (!entries.empty()) entries += "]";

  GoObject config;
  for (const Member& known : kConfig) {
    const std::string_view name = known.name;
    if (name == "Cmd")
      config.raw_unless_empty(name, go_strings_or_nothing(cmd));
    else if (name == "Entrypoint")
      config.raw_unless_empty(name, go_strings_or_nothing(entrypoint));
    else if (name == "Env")
      config.raw_unless_empty(name, go_strings_or_nothing(env));
    else if (name == "Labels")
      config.raw_unless_empty(name, print_labels(labels));
    else if (name == "WorkingDir")
      config.text_unless_empty(name, working_dir);
    else
      config.raw_unless_empty(name, print(rest_[name], known.kind));
  }
  GoObject rootfs;
  rootfs.text("type", rootfs_type).value("diff_ids", Json(diff_ids));
  GoObject out;
  out.text("architecture", architecture)
      .text_unless_empty("author", author)
      .text("created", created)
      .text_unless_empty("docker_version", docker_version)
      .raw_unless_empty("history", entries)
      .text("os", os)
      .raw("rootfs", std::move(rootfs).str())
      .raw("config", std::move(config).str())
      .text_unless_empty("os.version", os_version)
      .text_unless_empty("variant", variant)
      .raw_unless_empty("os.features", go_strings_or_nothing(os_features));
  return std::move(out).str();
}

}  // namespace locald::oci
