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
  mount.tmpfs_bytes = TRY(builder::tmpfs_bytes(volume.options));
  return mount;
}

}  // namespace locald::builder
