#include "oci/ref/reference.h"

#include <algorithm>

#include "base/strings.h"

namespace locald::oci {
namespace {

constexpr std::string_view kDefaultRegistry = "docker.io";
constexpr std::size_t kMaxNameBytes = 255;  // registry and repository together, as Docker has it
constexpr std::size_t kMaxTagBytes = 128;

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

Error bad(std::string_view text, const std::string& why) {
  return {Errc::invalid_input,
          "image reference \"" + std::string(text.substr(0, 300)) + "\": " + why};
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

/// domain-component ["." domain-component]* | "[" ipv6 "]", then [":" port].
bool is_host(std::string_view host) {
  if (starts_with(host, "[")) {
    const auto end = host.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    for (const char c : host.substr(1, end - 1))
      if (!(c == ':' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
        return false;
    host.remove_prefix(end + 1);
    if (host.empty()) return true;
    if (host[0] != ':') return false;
    host.remove_prefix(1);
    const auto port = parse_u64(host);
    return port && *port > 0 && *port < 65536;
  }
  if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    const auto port = parse_u64(host.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return false;
    host = host.substr(0, colon);
  }
  for (const std::string& part : split(host, '.')) {
    if (part.empty() || part.size() > 63 || !is_alnum(part.front()) || !is_alnum(part.back()))
      return false;
    if (!std::all_of(part.begin(), part.end(), [](char c) { return is_alnum(c) || c == '-'; }))
      return false;
  }
  return true;
}

/// alpha-numeric [separator alpha-numeric]*, the separators ".", "_", "__" and dashes.
bool is_path_component(std::string_view part) {
  if (part.empty() || !is_lower_alnum(part.front()) || !is_lower_alnum(part.back())) return false;
  for (std::size_t i = 0; i < part.size();) {
    if (is_lower_alnum(part[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < part.size() && !is_lower_alnum(part[end])) ++end;
    const std::string_view separator = part.substr(i, end - i);
    const bool good = separator == "." || separator == "_" || separator == "__" ||
                      separator.find_first_not_of('-') == std::string_view::npos;
    if (!good) return false;
    i = end;
  }
  return true;
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > kMaxTagBytes || !(is_alnum(tag[0]) || tag[0] == '_'))
    return false;
  return std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

Result<ImageReference> parse_docker(std::string_view text, std::string_view rest) {
  ImageReference ref;
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    auto digest = Digest::parse(rest.substr(at + 1));
    if (!digest) return Error(digest.error().code(), bad(text, digest.error().message()).message());
    ref.digest = std::move(*digest);
    rest = rest.substr(0, at);
  }
  const auto slash = rest.rfind('/');
  if (const auto colon = rest.rfind(':');
      colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    ref.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_tag(ref.tag))
      return bad(text,
                 "invalid tag \"" + ref.tag + "\" (letters, digits, '_', '.', '-', at most 128)");
  }
  if (rest.empty()) return bad(text, "the name is missing");

  const auto first = rest.find('/');
  const std::string_view head = rest.substr(0, first);
  const bool has_host =
      first != std::string_view::npos && (head.find_first_of(".:") != std::string_view::npos ||
                                          head == "localhost" || to_lower(head) != head);
  if (has_host) {
    if (!is_host(head))
      return bad(text, "invalid host name or host:port \"" + std::string(head) + "\"");
    ref.registry = head;
    rest = rest.substr(first + 1);
    if (ref.registry == "index.docker.io" || ref.registry == "registry-1.docker.io")
      ref.registry = kDefaultRegistry;
  } else {
    ref.registry = kDefaultRegistry;
  }
  if (rest.empty()) return bad(text, "the repository after the host is missing");
  for (const std::string& part : split(rest, '/')) {
    if (is_path_component(part)) continue;
    if (to_lower(part) != part)
      return bad(text, "\"" + part + "\": repository names are lower case");
    if (part.empty()) return bad(text, "an empty part between slashes");
    return bad(text, "invalid repository name \"" + part +
                         "\" (a-z, 0-9, separated by '.', '_', '__' or '-')");
  }
  ref.repository = rest;
  if (ref.registry == kDefaultRegistry && rest.find('/') == std::string_view::npos) {
    if (rest.size() == 64 && rest.find_first_not_of("0123456789abcdef") == std::string_view::npos)
      return bad(text, "64 hex digits are an image's id, not a name; write NAME@sha256:…");
    ref.repository = "library/" + ref.repository;
  }
  if (ref.registry.size() + 1 + ref.repository.size() > kMaxNameBytes)
    return bad(text, "the name is over 255 bytes");
  if (ref.tag.empty() && !ref.digest) ref.tag = "latest";
  return ref;
}

/// PATH[:NAME]; the first colon ends the path, as in the peers.
Result<ImageReference> parse_file(Transport transport, std::string_view text, std::string_view rest,
                                  const std::string& base_dir) {
  ImageReference ref;
  ref.transport = transport;
  const auto colon = rest.find(':');
  std::string path(rest.substr(0, colon));
  if (colon != std::string_view::npos) {
    ref.tag = rest.substr(colon + 1);
    if (ref.tag.empty()) return bad(text, "the name after the last colon is missing");
    const bool plain =
        std::all_of(ref.tag.begin(), ref.tag.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!plain || ref.tag.size() > kMaxNameBytes + kMaxTagBytes)
      return bad(text, "invalid image name after the path");
  }
  if (path.empty()) return bad(text, "the path is missing");
  if (path.find('\0') != std::string::npos) return bad(text, "a NUL byte in the path");
  if (path[0] != '/' && !base_dir.empty()) {
    while (starts_with(path, "./")) path.erase(0, 2);
    path = (base_dir.back() == '/' ? base_dir : base_dir + "/") + path;
  }
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  ref.path = path;
  return ref;
}

std::string_view prefix_of(Transport transport) {
  switch (transport) {
    case Transport::docker:
      return "docker://";
    case Transport::oci:
      return "oci:";
    case Transport::oci_archive:
      return "oci-archive:";
    case Transport::docker_archive:
      return "docker-archive:";
  }
  return "";
}

}  // namespace

Result<ImageReference> ImageReference::parse(std::string_view text, const std::string& base_dir) {
  if (text.empty()) return Error(Errc::invalid_input, "the image reference is empty");
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' && c != ' ')
      return bad(trim(text), "a control character or line break in it");
  for (const auto transport : {Transport::oci, Transport::oci_archive, Transport::docker_archive})
    if (starts_with(text, prefix_of(transport)))
      return parse_file(transport, text, text.substr(prefix_of(transport).size()), base_dir);
  std::string_view rest = text;
  if (starts_with(rest, prefix_of(Transport::docker)))
    rest.remove_prefix(prefix_of(Transport::docker).size());
  if (const auto scheme = rest.find("://"); scheme != std::string_view::npos) {
    if (starts_with(rest, "http://") || starts_with(rest, "https://"))
      return bad(text, "leave out the scheme: \"" + std::string(rest.substr(scheme + 3)) + "\"");
    return bad(text, "invalid transport \"" + std::string(rest.substr(0, scheme)) +
                         "\" (docker://, oci:, oci-archive:, docker-archive:)");
  }
  for (const std::string_view other :
       {"docker-daemon:", "containers-storage:", "dir:", "sif:", "ostree:"})
    if (starts_with(rest, other))
      return bad(text,
                 std::string(other) +
                     " is not supported (docker://, oci:, oci-archive:, docker-archive: are)");
  if (rest.find(' ') != std::string_view::npos) return bad(text, "a blank in it");
  return parse_docker(text, rest);
}

std::string ImageReference::name() const {
  if (transport != Transport::docker)
    return std::string(prefix_of(transport)) + path + (tag.empty() ? "" : ":" + tag);
  std::string out = registry + "/" + repository;
  if (!tag.empty()) out += ":" + tag;
  if (digest) out += "@" + digest->str();
  return out;
}

std::string ImageReference::familiar() const {
  std::string out = name();
  if (transport != Transport::docker || registry != kDefaultRegistry) return out;
  out.erase(0, kDefaultRegistry.size() + 1);
  // "library/a/b" on docker.io is not "a/b": only a bare name has the prefix understood.
  if (starts_with(repository, "library/") && repository.find('/', 8) == std::string::npos)
    out.erase(0, 8);
  // An image called "oci" or "localhost/x" on Docker Hub: the short text would mean something else.
  const auto meaning = parse(out);
  return meaning && *meaning == *this ? out : name();
}

}  // namespace locald::oci
