#include "net/cni/conflist.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/strings.h"
#include "base/sys/spawn.h"

namespace locald::net {
namespace {

constexpr std::string_view kOldest = "0.3.1", kNewest = "1.0.0";
constexpr std::size_t kMaxPlugins = 16;

Error invalid(std::string message, std::string hint = {}) {
  Error out(Errc::invalid_input, std::move(message));
  return hint.empty() ? out : std::move(out).with_hint(std::move(hint));
}

std::optional<std::array<std::uint64_t, 3>> version_of(std::string_view text) {
  const std::vector<std::string> parts = split(text, '.');
  if (parts.size() != 3) return std::nullopt;
  std::array<std::uint64_t, 3> out{};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto number = parse_u64(parts[i]);
    if (!number) return std::nullopt;
    out[i] = *number;
  }
  return out;
}

/// As names of networks must be (spec, section 1), and those of programs had better.
bool is_name(std::string_view text) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= 128 && alphanumeric(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

Result<void> check_version(const std::string& text) {
  const auto version = version_of(text);
  if (!version) return invalid("invalid cniVersion \"" + text + "\"", "use a version like 1.0.0");
  if (*version > *version_of(kNewest))
    return invalid(
        "cniVersion " + text + " is newer than what locald speaks, " + std::string(kNewest),
        "write \"cniVersion\": \"" + std::string(kNewest) + "\"");
  if (*version < *version_of(kOldest))
    return invalid(
        "cniVersion " + text + " is older than what locald speaks, " + std::string(kOldest),
        "write \"cniVersion\": \"" + std::string(kOldest) + "\" or a newer one");
  return {};
}

/// The plugin for addresses that `plugin` names; "" for none.
const std::string& ipam_of(const Json& plugin) { return plugin["ipam"]["type"].as_string(); }

Result<void> check_plugin(const Json& plugin, std::size_t number) {
  const std::string where = "plugins[" + std::to_string(number) + "]";
  if (!plugin.is_object()) return invalid(where + ": not an object");
  const std::string type = TRY(plugin.get_string("type").context(where));
  if (!is_name(type)) return invalid(where + ": invalid type \"" + type + "\"");
  const Json& ipam = plugin["ipam"];
  if (!ipam.is_null() && !ipam.is_object()) return invalid(where + ": ipam: not an object");
  if (ipam.contains("type") && !is_name(ipam_of(plugin)))
    return invalid(where + ": ipam: invalid type \"" + ipam_of(plugin) + "\"");
  if (!plugin["capabilities"].is_null() && !plugin["capabilities"].is_object())
    return invalid(where + ": capabilities: not an object");
  return {};
}

}  // namespace

Result<Conflist> Conflist::parse(std::string_view text) {
  const Json json = TRY(Json::parse(text, {.max_bytes = kMaxConflist, .max_depth = 32}));
  if (!json.is_object()) return invalid("not an object");
  Conflist out;
  out.version = TRY(json.get_string("cniVersion"));
  TRY(check_version(out.version));
  out.name = TRY(json.get_string("name"));
  if (!is_name(out.name))
    return invalid("invalid name \"" + out.name + "\"", "use letters, digits, _, . and -");
  out.disable_check = TRY(json.get_bool_or("disableCheck", false));
  if (!json.contains("plugins") && json.contains("type"))
    return invalid("that is the configuration of one plugin, not a list",
                   "put it into a list: \"plugins\": [ { \"type\": \"" + json["type"].as_string() +
                       "\", … } ]");
  if (!json["plugins"].is_array() || json["plugins"].as_array().empty())
    return invalid("plugins: there is none", "write \"plugins\": [ { \"type\": \"bridge\", … } ]");
  out.plugins = json["plugins"].as_array();
  if (out.plugins.size() > kMaxPlugins)
    return invalid("plugins: more than " + std::to_string(kMaxPlugins));
  for (std::size_t i = 0; i < out.plugins.size(); ++i) TRY(check_plugin(out.plugins[i], i));
  return out;
}

bool Conflist::takes(std::string_view capability) const {
  return std::any_of(plugins.begin(), plugins.end(), [&](const Json& plugin) {
    return plugin["capabilities"][capability].as_bool();
  });
}

std::string find_plugin(const std::string& type, const std::vector<std::string>& path) {
  return find_program(type, join(path, ":")).value_or("");
}

Result<void> Conflist::find_plugins(const std::vector<std::string>& path) const {
  for (const Json& plugin : plugins)
    for (const std::string& type : {plugin["type"].as_string(), ipam_of(plugin)})
      if (!type.empty() && find_plugin(type, path).empty())
        return Error(Errc::not_found, "the CNI plugin " + type + " is not in " + join(path, " or "))
            .with_hint(
                "sudo apt-get install containernetworking-plugins; other folders: `cni_path` in "
                "locald's config.toml");
  return {};
}

}  // namespace locald::net
