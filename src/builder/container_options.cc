#include "builder/container_options.h"

#include <csignal>
#include <cstring>
#include <limits>
#include <tuple>

#include "base/strings.h"

namespace locald::builder {
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

Result<VolumeMount> VolumeMount::of(const VolumeConfig& volume) {
  VolumeMount mount;
  switch (volume.kind) {
    case VolumeConfig::Kind::named:
    case VolumeConfig::Kind::anonymous:
      break;
    case VolumeConfig::Kind::bind:
      mount.kind = Kind::bind;
      break;
    case VolumeConfig::Kind::tmpfs:
      mount.kind = Kind::tmpfs;
      break;
  }
  mount.source = volume.source;
  mount.target = TRY(normal_path(volume.target, "the volume's place"));
  mount.read_only = volume.read_only;
  for (const std::string& option : split(volume.options, ',')) {
    if (option.empty()) continue;
    if (!option.starts_with("size="))
      return Error(Errc::unsupported, "tmpfs option \"" + option + "\" is not supported yet");
    mount.tmpfs_bytes = TRY(parse_bytes(std::string_view(option).substr(5)));
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
