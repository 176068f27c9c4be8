#include "oci/layer/layer_path.h"

#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace locald::oci {

Result<std::vector<std::string>> clean_path(std::string_view name, const LayerLimits& limits) {
  std::vector<std::string> parts;
  while (!name.empty()) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    name.remove_prefix(slash == std::string_view::npos ? name.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (parts.empty()) return Error(Errc::invalid_input, "the name leaves the root by \"..\"");
      parts.pop_back();
      continue;
    }
    if (part.size() > limits.max_component_bytes)
      return Error(Errc::invalid_input, "a part of the name is longer than " +
                                            std::to_string(limits.max_component_bytes) + " bytes");
    parts.emplace_back(part);
    if (parts.size() > limits.max_depth)
      return Error(Errc::invalid_input,
                   "the name is deeper than " + std::to_string(limits.max_depth) + " folders");
  }
  return parts;
}

std::string join_path(std::string_view folder, std::string_view name) {
  std::string out;
  out.reserve(folder.size() + 1 + name.size());
  out += folder;
  if (!folder.empty()) out += '/';
  out += name;
  return out;
}

std::string_view parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view last_part(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

Result<WhiteoutName> parse_whiteout(std::string_view last) {
  constexpr std::string_view kPrefix = ".wh.";
  if (!last.starts_with(kPrefix)) return WhiteoutName{};
  const std::string_view target = last.substr(kPrefix.size());
  if (target == ".wh..opq") return WhiteoutName{Whiteout::opaque, {}};
  if (target.starts_with(kPrefix)) return WhiteoutName{Whiteout::aufs, {}};
  if (target.empty() || target == "." || target == "..")
    return Error(Errc::invalid_input, "a whiteout of nothing (\"" + std::string(last) + "\")");
  return WhiteoutName{Whiteout::remove, target};
}

Result<UniqueFd> open_beneath(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;; ++tries) {
    UniqueFd fd(static_cast<int>(
        ::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how)));
    if (fd) return fd;
    // EAGAIN: somebody renamed while the kernel walked.
    if (errno == EINTR || (errno == EAGAIN && tries < 128)) continue;
    return Error::from_errno(errno, "open " + path);
  }
}

}  // namespace locald::oci
