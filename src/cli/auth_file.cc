#include "cli/auth_file.h"

#include "base/json/json.h"
#include "base/sys/fs_at.h"
#include "cli/context.h"

namespace locald::cli {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;
constexpr mode_t kPrivate = 0600;

/// An empty object where there is no file yet.
Result<Json> read_auth(const std::string& file) {
  const auto text = read_file(file, kMaxFile);
  if (!text && text.error().code() == Errc::not_found) return Json::object();
  auto parsed = Json::parse(TRY(text), {.reject_duplicates = false});
  if (!parsed || !parsed->is_object())
    return Error(Errc::invalid_input, file + " is not a file of logins" +
                                          (parsed ? "" : ": " + parsed.error().message()))
        .with_hint("repair or remove it; it is not changed");
  return parsed;
}

Result<void> write_auth(const std::string& file, const Json& content) {
  TRY(make_dirs(file.substr(0, file.rfind('/'))));
  return write_file_atomic(file, content.dump(/*pretty=*/true) + "\n", kPrivate);
}

/// Whether a key of "auths" is the registry, as old and new tools write it.
bool is_of(std::string_view key, const std::string& registry) {
  for (const std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  while (key.ends_with('/')) key.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"})
    if (key.ends_with(version)) key.remove_suffix(version.size());
  return key == registry || (registry == "docker.io" && key == "index.docker.io");
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t n) {
      return i + n < bytes.size() ? static_cast<unsigned char>(bytes[i + n]) : 0u;
    };
    const unsigned bits = at(0) << 16 | at(1) << 8 | at(2);
    for (int n = 0; n < 4; ++n)
      out += i + static_cast<std::size_t>(n) <= bytes.size() ? kDigits[bits >> (18 - 6 * n) & 63]
                                                             : '=';
  }
  return out;
}

Result<std::string> auth_file() {
  const auto files = login_files();
  if (files.empty())
    return Error(Errc::not_found, "there is no place for a login")
        .with_hint("set HOME or REGISTRY_AUTH_FILE");
  return files.front();
}

Result<void> store_login(const std::string& file, const std::string& registry,
                         const std::string& user, const std::string& password) {
  Json content = TRY(read_auth(file));
  Json auths = content["auths"].is_object() ? content["auths"] : Json::object();
  Json::Object kept;
  for (const auto& [key, value] : auths.as_object())
    if (!is_of(key, registry)) kept.emplace_back(key, value);
  kept.emplace_back(registry, Json::object({{"auth", to_base64(user + ":" + password)}}));
  content.set("auths", Json(std::move(kept)));
  return write_auth(file, content).context("write " + file);
}

Result<std::size_t> remove_login(const std::string& file,
                                 const std::optional<std::string>& registry) {
  Json content = TRY(read_auth(file));
  Json::Object kept;
  std::size_t count = 0;
  for (const auto& [key, value] : content["auths"].as_object()) {
    if (!registry || is_of(key, *registry))
      ++count;
    else
      kept.emplace_back(key, value);
  }
  if (count == 0) return count;
  content.set("auths", Json(std::move(kept)));
  TRY(write_auth(file, content).context("write " + file));
  return count;
}

std::string login_helper(const std::string& file, const std::string& registry) {
  const auto content = read_auth(file);
  if (!content) return {};
  for (const auto& [key, value] : (*content)["credHelpers"].as_object())
    if (is_of(key, registry)) return value.as_string();
  return (*content)["credsStore"].as_string();
}

}  // namespace locald::cli
