#include "server/launch/command_note.h"

#include <algorithm>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "runtime/container_init.h"

namespace locald::server {
namespace {

constexpr std::size_t kMaxSpec = 1u << 20;  // bytes
constexpr std::size_t kMaxWords = 100;      // bytes of the command that are shown

bool is_shell(const std::string& program) {
  const std::string name = program.substr(program.rfind('/') + 1);
  for (const char* shell : {"sh", "bash", "ash", "dash", "zsh"})
    if (name == shell) return true;
  return false;
}

/// The key of locald.toml that a member of a ServiceConfig comes from.
std::string key_of(const std::string& member) {
  if (member == "argv" || member == "args") return "command";
  if (member == "cwd") return "workdir";
  if (member == "unset") return "env";
  if (member == "auto_port") return "port";
  if (member == "kind") return "type";
  if (member == "app") return "build";
  return member;
}

}  // namespace

std::string command_words(const std::vector<std::string>& argv, const std::string& whose) {
  if (argv.empty()) return {};
  std::vector<std::string> words;
  for (const std::string& word : argv) words.push_back(shell_quote(word));
  std::string text = to_utf8(join(words, " "));
  if (text.size() > kMaxWords) {
    text.resize(kMaxWords);
    text = to_utf8(text) + "…";
  }
  std::string note = "it ran `" + text + "`, " + whose;
  if (whose == kImagesOwn && argv.size() == 1 && is_shell(argv[0]))
    note += ", which ends at once without a terminal: give it a `command`";
  return note;
}

std::string command_note(const Paths& paths, const std::string& instance,
                         const std::string& whose) {
  const auto text = read_file(paths.bundle(instance) + "/config.json", kMaxSpec);
  const auto spec = text ? Json::parse(*text) : Result<Json>(text.error());
  if (!spec) return {};
  std::vector<std::string> argv = (*spec)["process"]["args"].as_strings();
  if (!argv.empty() && argv[0] == runtime::kContainerInitPath) {
    const auto end = std::find(argv.begin(), argv.end(), "--");
    argv.erase(argv.begin(), end == argv.end() ? end : end + 1);
  }
  return command_words(argv, whose);
}

std::string changed_keys(const Json& before, const Json& after) {
  std::vector<std::string> keys;
  const auto look = [&](const Json& one, const Json& other) {
    for (const auto& [member, value] : one.as_object()) {
      if (other[member] == value) continue;
      const std::string key = key_of(member);
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  };
  look(before, after);
  look(after, before);
  return join(keys, ", ");
}

}  // namespace locald::server
