#include "oci/registry/login_file.h"

#include <algorithm>
#include <array>

#include "base/json/json.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"

namespace locald::oci {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;
constexpr const char* kDockerHub = "docker.io";

/// A key of "auths" as ImageReference writes it: "https://index.docker.io/v1/" is docker.io.
std::string plain(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  while (key.ends_with('/')) key.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"})
    if (key.ends_with(version)) key.remove_suffix(version.size());
  for (const std::string_view alias : {"index.docker.io", "registry-1.docker.io"})
    if (key == alias || (key.starts_with(alias) && key[alias.size()] == '/'))
      return kDockerHub + std::string(key.substr(alias.size()));
  return std::string(key);
}

std::optional<std::string> decode_base64(std::string_view text) {
  text = trim(text);  // as `base64` of the shell ends it
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  unsigned bits = 0, count = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+' || c == '-' ? 62
                      : c == '/' || c == '_' ? 63
                                             : -1;
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<unsigned>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
    bits &= (1u << count) - 1;
  }
  return out;
}

bool usable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7f; });
}

std::optional<Credentials> login_of(const Json& entry) {
  Credentials out{entry["username"].as_string(), entry["password"].as_string()};
  if (const std::string& text = entry["auth"].as_string(); !text.empty()) {
    const auto pair = decode_base64(text);
    const std::size_t colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) return std::nullopt;
    out.user = pair->substr(0, colon);
    out.password = pair->substr(colon + 1);
    // As old tools pad it, and as `echo user:password | base64` ends it.
    while (out.password.ends_with('\0') || out.password.ends_with('\n') ||
           out.password.ends_with('\r'))
      out.password.pop_back();
  }
  if (out.user.empty() || !usable(out.user) || !usable(out.password)) return std::nullopt;
  return out;
}

/// The entry for the longest beginning of `name` ("docker.io/team/app"); null where there is none.
const Json& entry_for(const Json& entries, const std::string& name) {
  static const Json null;
  for (std::string wanted = name;;) {
    for (const auto& [key, value] : entries.as_object())
      if (plain(key) == wanted) return value;
    const std::size_t slash = wanted.rfind('/');
    if (slash == std::string::npos) return null;
    wanted.resize(slash);
  }
}

std::string advice(const std::string& registry) { return "; log in: locald login " + registry; }

}  // namespace

FoundLogin parse_login_file(std::string_view text, const std::string& file,
                            const std::string& registry, const std::string& repository) {
  const auto document = Json::parse(text, {.max_bytes = kMaxFile, .reject_duplicates = false});
  if (!document || !document->is_object())
    return {std::nullopt, file + " cannot be read: it is not JSON" + advice(registry)};
  const Json& entry = entry_for((*document)["auths"], registry + "/" + repository);
  if (auto login = login_of(entry)) return {std::move(login), {}};
  if (!entry["identitytoken"].as_string().empty())
    return {std::nullopt, file + " has an identity token for " + registry +
                              ", which locald cannot use" + advice(registry)};
  std::string helper = entry_for((*document)["credHelpers"], registry).as_string();
  if (helper.empty() && entry.is_object()) helper = (*document)["credsStore"].as_string();
  if (!helper.empty() && usable(helper))
    return {std::nullopt, file + " keeps the login for " + registry + " with docker-credential-" +
                              helper + ", which locald does not run" + advice(registry)};
  return {};
}

FoundLogin find_login(const std::vector<std::string>& files, const std::string& registry,
                      const std::string& repository) {
  FoundLogin first;
  for (const std::string& file : files) {
    const auto text = read_file(file, kMaxFile);
    if (!text) continue;
    FoundLogin found = parse_login_file(*text, file, registry, repository);
    if (found.login) return found;
    if (first.hint.empty()) first.hint = found.hint;
  }
  return first;
}

}  // namespace locald::oci
