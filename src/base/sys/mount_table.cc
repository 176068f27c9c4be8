#include "base/sys/mount_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

constexpr std::size_t kMaxTable = 64u << 20;  // bytes: a hundred thousand mounts

/// "\040" and the like, as the kernel writes blanks in paths.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

Result<std::uint64_t> mount_of(int fd) {
  struct statx st {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0 && (st.stx_mask & STATX_MNT_ID) != 0)
    return st.stx_mnt_id;
  // Before Linux 5.8.
  const auto info = read_file("/proc/self/fdinfo/" + std::to_string(fd), 64u << 10);
  // Without the name of the descriptor, which says nothing to a user.
  if (!info) return Error::from_errno(info.error().sys_errno(), "find its mount");
  for (const std::string& line : split(*info, '\n'))
    if (line.starts_with("mnt_id:"))
      if (const auto id = parse_u64(trim(std::string_view(line).substr(7)))) return *id;
  return Error(Errc::unsupported, "the kernel does not tell which mount a file is on");
}

}  // namespace

bool Place::within(const Place& folder) const {
  if (device != folder.device || !path.starts_with(folder.path)) return false;
  return folder.path == "/" || path.size() == folder.path.size() || path[folder.path.size()] == '/';
}

MountTable MountTable::parse(std::string_view text) {
  MountTable table;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    // 36 35 98:0 /root /mnt … : id, parent, device, root, where
    std::array<std::string_view, 5> words;
    std::string_view rest = line;
    for (std::string_view& word : words) {
      word = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    const auto id = parse_u64(words[0]);
    if (!id || words[4].empty()) continue;
    table.mounts_.push_back({*id, {std::string(words[2]), unescape(words[3])}, unescape(words[4])});
  }
  return table;
}

Result<MountTable> MountTable::read() {
  return parse(TRY(read_file("/proc/self/mountinfo", kMaxTable)));
}

Result<Place> MountTable::place_of(int fd) const {
  const std::uint64_t id = TRY(mount_of(fd));
  std::array<char, PATH_MAX + 16> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), text.data(), text.size() - 1);
  if (size < 0) return Error::from_errno(errno, "read " + link);
  const std::string_view path(text.data(), static_cast<std::size_t>(size));
  for (const Mount& mount : mounts_) {
    if (mount.id != id) continue;
    const Place seen{{}, std::string(path)};
    if (!seen.within({{}, mount.point})) break;
    std::string below(path.substr(mount.point == "/" ? 0 : mount.point.size()));
    if (below == "/") below.clear();
    Place place = mount.root;
    if (!below.empty()) place.path = (place.path == "/" ? "" : place.path) + below;
    return place;
  }
  return Error(Errc::failed, std::string(path) + ": its mount has changed or is gone");
}

}  // namespace locald
