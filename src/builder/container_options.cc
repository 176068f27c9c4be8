#include "builder/container_options.h"

#include <csignal>
#include <cstring>
#include <limits>
#include <tuple>

#include "base/strings.h"
#include "builder/mount_option.h"

namespace locald::builder {
namespace {

Error wrong(std::string_view text, std::string_view what) {
  return Error(Errc::invalid_input, "volume \"" + std::string(text) + "\": " + std::string(what));
}

bool is_volume_name(std::string_view name) {
  if (name.empty() || name.size() > 63 || name[0] == '-' || name[0] == '_') return false;
  for (const char c : name)
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_') return false;
  return true;
}

}  // namespace

Result<std::string> normal_path(std::string_view path, std::string_view what) {
  if (path.find('\0') != std::string_view::npos)
    return Error(Errc::invalid_input, std::string(what) + " has a NUL byte in it");
  if (path.empty() || path.front() != '/')
    return Error(Errc::invalid_input, std::string(what) + " must be an absolute path, not \"" +
                                          std::string(path) + "\"");
  std::string out;
  for (const std::string& part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..")
      return Error(Errc::invalid_input,
                   std::string(what) + " must not contain \"..\": \"" + std::string(path) + "\"");
    out += "/" + part;
  }
  return out.empty() ? "/" : out;
}

Result<VolumeMount> VolumeMount::parse(std::string_view text, const std::string& base_dir,
                                       const std::string& home) {
  std::vector<std::string> parts = split(text, ':');
  VolumeMount mount;
  if (parts.size() == 1) {
    mount.target =
        TRY(normal_path(parts[0], "the target").context("volume \"" + std::string(text) + "\""));
    return mount;
  }
  if (parts.size() > 3) return wrong(text, "more than SOURCE:TARGET:OPTIONS");
  mount.target =
      TRY(normal_path(parts[1], "the target").context("volume \"" + std::string(text) + "\""));
  const std::string& source = parts[0];
  if (source == "tmpfs") {
    mount.kind = Kind::tmpfs;
  } else if (source.starts_with('/')) {
    mount.kind = Kind::bind;
    mount.source = source;
  } else if (source.starts_with("~/") || source == "~") {
    if (home.empty()) return wrong(text, "\"~\" cannot be used here: HOME is not known");
    mount.kind = Kind::bind;
    mount.source = home + source.substr(1);
  } else if (source == "." || source == ".." || source.starts_with("./") ||
             source.starts_with("../")) {
    mount.kind = Kind::bind;
    mount.source = base_dir + "/" + source;
  } else if (is_volume_name(source)) {
    mount.source = source;
  } else if (source.find('/') != std::string::npos) {
    return wrong(
        text,
        "a folder is written with \"/\", \"./\", \"../\" or \"~/\" in front: did you mean \"./" +
            source + "\"?");
  } else {
    return wrong(text, "invalid volume name \"" + source + "\" ([a-z0-9][a-z0-9_-]{0,62})");
  }
  if (parts.size() == 3)
    for (const std::string& option : split(parts[2], ',')) {
      if (mount.kind == Kind::tmpfs && option.starts_with("size=")) {
        mount.tmpfs_bytes =
            TRY(parse_bytes(option.substr(5)).context("volume \"" + std::string(text) + "\""));
        continue;
      }
      std::string notice;
      TRY(read_mount_option(option, mount.read_only, notice)
              .context("volume \"" + std::string(text) + "\""));
    }
  return mount;
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto bad = [&] {
    return Error(Errc::invalid_input, "invalid size \"" + std::string(text) +
                                          "\": write a number and b, k, m or g (\"512m\")");
  };
  std::string lower = to_lower(trim(text));
  unsigned shift = 0;
  if (lower.size() > 2 && lower.ends_with("b") &&
      (lower[lower.size() - 2] < '0' || lower[lower.size() - 2] > '9'))
    lower.pop_back();  // "512mb"
  if (!lower.empty()) {
    const char unit = lower.back();
    shift = unit == 'k' ? 10u : unit == 'm' ? 20u : unit == 'g' ? 30u : unit == 't' ? 40u : 0u;
    if (shift != 0 || unit == 'b') lower.pop_back();
  }
  const auto number = parse_u64(lower);
  if (!number || *number > (std::numeric_limits<std::uint64_t>::max() >> 1 >> shift)) return bad();
  return *number << shift;
}

}  // namespace locald::builder
