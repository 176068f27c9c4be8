#include "project/wording.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace locald::project {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

/// Keys that a compose file calls otherwise; the others have one name in both.
constexpr std::array kKeys = {
    Pair{"address", "ipv4_address"},
    Pair{"container_port", "expose"},
    Pair{"env", "environment"},
    Pair{"health", "healthcheck"},
    Pair{"ipv6", "enable_ipv6"},
    Pair{"memory", "mem_limit"},
    Pair{"network", "network_mode"},
    Pair{"pids", "pids_limit"},
    Pair{"port", "ports"},
    Pair{"pull", "pull_policy"},
    Pair{"stop_timeout", "stop_grace_period"},
    Pair{"subnet", "ipam.config.subnet"},
    Pair{"workdir", "working_dir"},
};

/// Whole phrases, for what stands otherwise in a compose file, or is not there. Longer ones come
/// before their parts.
constexpr std::array kPhrases = {
    Pair{" (or low_ports = \"+8000\" below [project])", ""},
    Pair{"port = \"auto\", which is a free one", "its container's port alone, for a free one"},
    Pair{"port = \"auto\"", "its container's port alone, for a free one"},
    Pair{"network = \"project\"", "`networks`"},
    Pair{"\"service:NAME\"", "service:NAME"},
    Pair{"network = \"none\"", "network_mode: none"},
    Pair{"wait for \"started\"", "wait for service_started"},
    Pair{"wait for \"completed\", or remove `once`", "wait for service_completed_successfully"},
    Pair{"restart = \"no\" or \"on-failure\"", "`restart: \"no\"` or `on-failure`"},
    Pair{"set type = \"cnb\" in the service; a", "apps are built from a locald.toml; a"},
    Pair{"add a table ", "add "},
    Pair{"has no `health`", "has no `healthcheck`"},
    Pair{"write the one that it listens on as `container_port`",
         "write the one that it listens on into `ports`"},
    Pair{"give it a `container_port`", "publish it in `ports`"},
    Pair{"or write `container_port`", "or publish it in `ports`"},
    Pair{"memory: at least", "mem_limit: at least"},
    Pair{"locald.toml", "the compose file"},
};

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

std::string_view compose_key(std::string_view key) {
  const auto* found =
      std::find_if(kKeys.begin(), kKeys.end(), [&](const Pair& pair) { return pair.first == key; });
  return found == kKeys.end() ? key : found->second;
}

/// The length of the value that `text` begins with: a string, a list or table, a word; 0: none.
std::size_t value_length(std::string_view text) {
  if (text.empty()) return 0;
  const char open = text[0];
  if (open == '"') {
    const std::size_t end = text.find('"', 1);
    return end == std::string_view::npos ? 0 : end + 1;
  }
  if (open == '[' || open == '{') {
    const std::size_t end = text.find(open == '[' ? ']' : '}');
    return end == std::string_view::npos ? 0 : end + 1;
  }
  return static_cast<std::size_t>(
      std::find_if_not(text.begin(), text.end(), [](char c) { return is_word(c) || c == '.'; }) -
      text.begin());
}

/// `key = VALUE` as `key: VALUE`, where that begins at `at`; nothing: it does not.
struct Setting {
  std::size_t end;
  std::string text;
};
std::optional<Setting> setting_at(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_word(text[end])) ++end;
  if (end == at || !text.substr(end).starts_with(" = ")) return std::nullopt;
  const std::string_view value = text.substr(end + 3, value_length(text.substr(end + 3)));
  if (value.empty()) return std::nullopt;
  std::string_view bare = value;
  const bool plain =
      value[0] == '"' &&
      std::all_of(value.begin() + 1, value.end() - 1,
                  [](char c) {
                    return is_word(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '/' || c == '.';
                  }) &&
      !(value[1] >= '0' && value[1] <= '9') && value != "\"no\"";
  if (plain) bare = value.substr(1, value.size() - 2);
  return Setting{end + 3 + value.size(),
                 std::string(compose_key(text.substr(at, end - at))) + ": " + std::string(bare)};
}

/// The name of a key between backquotes that begin at `at`, and the part of a path behind dots.
std::optional<Setting> key_at(std::string_view text, std::size_t at) {
  const std::size_t end = text.find('`', at + 1);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view key = text.substr(at + 1, end - at - 1);
  if (key.empty() || !std::all_of(key.begin(), key.end(), is_word)) return std::nullopt;
  return Setting{end + 1, "`" + std::string(compose_key(key)) + "`"};
}

/// "[services.web]" as `services.web`; "[project]" is the file itself.
std::optional<Setting> table_at(std::string_view text, std::size_t at) {
  const std::size_t end = text.find(']', at);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view name = text.substr(at + 1, end - at - 1);
  if (name == "project") return Setting{end + 1, "the file"};
  if (!name.starts_with("services.") && !name.starts_with("networks.")) return std::nullopt;
  return Setting{end + 1, "`" + std::string(name) + "`"};
}

}  // namespace

std::string in_compose_words(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const auto* phrase = std::find_if(kPhrases.begin(), kPhrases.end(), [&](const Pair& pair) {
      return rest.starts_with(pair.first);
    });
    if (phrase != kPhrases.end()) {
      out += phrase->second;
      at += phrase->first.size();
      continue;
    }
    std::optional<Setting> found;
    if (text[at] == '`') found = key_at(text, at);
    if (text[at] == '[') found = table_at(text, at);
    if (is_word(text[at]) && (at == 0 || !is_word(text[at - 1]))) found = setting_at(text, at);
    if (!found) {
      out += text[at++];
      continue;
    }
    out += found->text;
    at = found->end;
  }
  return out;
}

Error in_compose_words(const Error& error) {
  return Error(error.code(), in_compose_words(error.message()))
      .with_hint(in_compose_words(error.hint()));
}

void word_for(const ProjectSpec& spec, Problems& problems) {
  if (!spec.compose) return;
  for (Problem& problem : problems) {
    problem.message = in_compose_words(problem.message);
    problem.hint = in_compose_words(problem.hint);
  }
}

}  // namespace locald::project
