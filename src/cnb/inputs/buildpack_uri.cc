#include "cnb/inputs/buildpack_uri.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/strings.h"

namespace locald::cnb {
namespace {

constexpr std::size_t kMaxIdBytes = 255;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Error bad_uri(std::string message) { return {Errc::invalid_input, std::move(message)}; }
std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text.substr(0, 300)) + "\"";
}

/// What follows `prefix`; nullopt where `text` does not begin with it.
std::optional<std::string_view> after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

bool is_version(std::string_view version) {
  return !version.empty() && version.size() <= kMaxIdBytes && version != "." && version != ".." &&
         std::all_of(version.begin(), version.end(), [](char c) {
           return is_alnum(c) || c == '.' || c == '-' || c == '+' || c == '_';
         });
}

/// [a-z0-9.-]{1,253}, as the registry has it; and no name that would be a step in a path.
bool is_registry_name(std::string_view name) {
  return !name.empty() && name.size() <= 253 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'z') || c == '.' || c == '-';
         });
}

/// "1.2.3", also with "-rc.1" and "+build" behind: pack takes a bare NS/NAME@ for the registry's
/// only with one of these.
bool is_semantic(std::string_view version) {
  const std::size_t end = std::min(version.find_first_of("-+"), version.size());
  const auto numbers = split(version.substr(0, end), '.');
  return numbers.size() == 3 &&
         std::all_of(numbers.begin(), numbers.end(), [](const std::string& n) {
           return parse_u64(n) && (n == "0" || !n.starts_with('0'));
         });
}

std::optional<RegistryId> registry_id(std::string_view text) {
  RegistryId out;
  if (const std::size_t at = text.find('@'); at != text.npos) {
    out.version = text.substr(at + 1);
    if (!is_version(out.version)) return std::nullopt;
    text = text.substr(0, at);
  }
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  out.name_space = text.substr(0, slash);
  out.name = text.substr(slash + 1);
  if (!is_registry_name(out.name_space) || !is_registry_name(out.name)) return std::nullopt;
  return out;
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// file:///PATH, file:/PATH or file://localhost/PATH, with %XX (RFC 8089).
Result<BuildpackUri> file_url(std::string_view text, std::string_view rest) {
  if (rest.starts_with("//")) {
    const std::size_t slash = rest.find('/', 2);
    const std::string_view host = rest.substr(2, slash == rest.npos ? rest.npos : slash - 2);
    if (slash == rest.npos || !(host.empty() || host == "localhost"))
      return bad_uri(in_quotes(text) + " names a file of another host")
          .with_hint("an absolute path has three slashes: file:///opt/buildpack");
    rest = rest.substr(slash);
  }
  std::string path;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] != '%') {
      path += rest[i];
      continue;
    }
    const int high = i + 2 < rest.size() ? hex_digit(rest[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(rest[i + 2]) : -1;
    if (low < 0 || high + low == 0)
      return bad_uri(in_quotes(text) + " holds a % without two digits");
    path += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (!path.starts_with('/'))
    return bad_uri(in_quotes(text) + " is not an absolute path").with_hint("leave \"file:\" away");
  return BuildpackUri(LocalPath{std::move(path)});
}

Result<BuildpackUri> remote(std::string_view text) {
  auto url = TRY(oci::Url::parse(text));
  if (url.scheme != "https" && oci::classify_host(url.host) != oci::HostClass::loopback)
    return bad_uri(in_quotes(text) + " is not https").with_hint("what it sends is run: use https");
  return BuildpackUri(RemoteArchive{std::move(url)});
}

bool is_path_for_sure(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kArchives = {".cnb", ".tgz", ".tar", ".tar.gz"};
  return text == "." || text == ".." || text.starts_with('/') || text.starts_with("./") ||
         text.starts_with("../") ||
         std::any_of(kArchives.begin(), kArchives.end(),
                     [&](std::string_view end) { return text.ends_with(end); });
}

}  // namespace

Result<void> check_buildpack_id(std::string_view id) {
  if (id.empty()) return bad_uri("a buildpack's id is empty");
  if (id.size() > kMaxIdBytes) return bad_uri("a buildpack's id is over 255 bytes");
  if (!std::all_of(id.begin(), id.end(),
                   [](char c) { return is_alnum(c) || c == '.' || c == '/' || c == '-'; }))
    return bad_uri("invalid buildpack id " + in_quotes(id) + " (letters, digits, '.', '/', '-')");
  for (const std::string& part : split(id, '/'))
    if (part.empty() || part == "." || part == "..")
      return bad_uri("invalid buildpack id " + in_quotes(id) + ": a part of it is " +
                     (part.empty() ? "empty" : in_quotes(part)));
  for (const std::string_view word : {"app", "config", "generated", "sbom"})
    if (id == word) return bad_uri(in_quotes(id) + " is reserved: a buildpack cannot have this id");
  return {};
}

Result<void> check_buildpack_version(std::string_view version) {
  if (is_version(version)) return {};
  return bad_uri(version.empty() ? "a buildpack's version is empty"
                                 : "invalid version " + in_quotes(version));
}

Result<BuilderModule> parse_buildpack_id(std::string_view text) {
  BuilderModule out;
  const std::size_t at = text.find('@');
  out.id = text.substr(0, at);
  TRY(check_buildpack_id(out.id));
  if (at != text.npos) {
    out.version = text.substr(at + 1);
    TRY(check_buildpack_version(out.version));
  }
  return out;
}

Result<BuildpackUri> parse_buildpack_uri(std::string_view text, const std::string& base_dir) {
  if (text.empty()) return bad_uri("it is empty");
  if (std::any_of(text.begin(), text.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return bad_uri("it holds a control character");

  if (text == "from=builder") return BuildpackUri(BuilderOrder{});
  for (const std::string_view prefix : {"from=builder:", "urn:cnb:builder:", "urn:buildpack:"})
    if (const auto rest = after(text, prefix))
      return BuildpackUri(TRY(parse_buildpack_id(*rest).context(in_quotes(text))));
  if (const auto rest = after(text, "urn:cnb:registry:")) {
    const auto id = registry_id(*rest);
    if (!id)
      return bad_uri(in_quotes(text) + " names no entry of the registry")
          .with_hint("urn:cnb:registry:NAMESPACE/NAME[@VERSION], a-z, 0-9, '.' and '-'");
    return BuildpackUri(*id);
  }
  if (text.starts_with("urn:"))
    return bad_uri(in_quotes(text) + " is a URN that is not known")
        .with_hint(
            "known are urn:cnb:registry:NS/NAME and urn:cnb:builder:ID; the builder's whole "
            "order is from=builder");

  if (auto rest = after(text, "docker:/")) {  // pack takes one, two or three slashes
    for (int i = 0; i < 2 && rest->starts_with('/'); ++i) rest->remove_prefix(1);
    auto reference = TRY(oci::ImageReference::parse("docker://" + std::string(*rest)));
    return BuildpackUri(ImageName{std::move(reference)});
  }
  for (const std::string_view prefix : {"oci:", "oci-archive:", "docker-archive:"}) {
    if (!text.starts_with(prefix)) continue;
    return BuildpackUri(ImageName{TRY(oci::ImageReference::parse(text, base_dir))});
  }
  if (text.starts_with("https://") || text.starts_with("http://")) return remote(text);
  if (const auto rest = after(text, "file:")) return file_url(text, *rest);
  if (const std::size_t scheme = text.find(":/"); scheme != text.npos && scheme > 0)
    return bad_uri(in_quotes(text) + ": unknown scheme \"" + std::string(text.substr(0, scheme)) +
                   "\"")
        .with_hint("known are https, docker, oci, oci-archive and file");
  if (is_path_for_sure(text)) return BuildpackUri(LocalPath{std::string(text)});
  return BuildpackUri(BareName{std::string(text)});
}

Result<BuildpackUri> settle(const BareName& name, bool path_exists, bool in_builder) {
  if (path_exists) return BuildpackUri(LocalPath{name.text});
  if (in_builder) return BuildpackUri(TRY(parse_buildpack_id(name.text)));
  if (auto id = registry_id(name.text); id && (id->version.empty() || is_semantic(id->version)))
    return BuildpackUri(std::move(*id));
  auto reference = oci::ImageReference::parse(name.text);
  if (!reference)
    return bad_uri(in_quotes(name.text) +
                   " is neither a path that is there, nor a buildpack of the builder, nor an id "
                   "of the registry, nor an image")
        .with_hint(reference.error().message());
  return BuildpackUri(ImageName{std::move(*reference)});
}

}  // namespace locald::cnb
