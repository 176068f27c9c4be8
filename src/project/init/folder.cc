#include "project/init/folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::project::init {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;  // bytes
constexpr std::size_t kMaxNames = 2000;     // of a folder: what is beyond names no project

std::string joined(const std::string& folder, std::string_view name) {
  return folder.empty() ? std::string(name) : folder + "/" + std::string(name);
}

}  // namespace

Folder disk_folder(const std::string& dir) {
  Folder out;
  out.dir = dir;
  out.names = [dir](const std::string& path) {
    const std::string folder = joined(dir, path);
    std::vector<std::string> names;
    for (std::string& name : names_in(folder)) {
      if (names.size() >= kMaxNames) break;
      // It would be written into the proposal's comments, and to a terminal.
      if (std::any_of(name.begin(), name.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        continue;
      struct stat st {};
      const bool is_folder = ::stat(joined(folder, name).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
      names.push_back(std::move(name) + (is_folder ? "/" : ""));
    }
    return names;
  };
  out.read = [dir](const std::string& path) -> std::optional<std::string> {
    // A FIFO in its place must not hang the reader: hence the flag, and the look at what it is.
    const auto fd = sys::open(joined(dir, path), O_RDONLY | O_NONBLOCK);
    struct stat st {};
    if (!fd || ::fstat(fd->get(), &st) != 0 || !S_ISREG(st.st_mode)) return std::nullopt;
    auto text = read_all(fd->get(), kMaxFile);
    return text ? std::optional(std::move(*text)) : std::nullopt;
  };
  return out;
}

Place::Place(const Folder& folder, std::string path)
    : folder_(folder), path_(std::move(path)), names_(folder.names(path_)) {
  std::sort(names_.begin(), names_.end());
}

bool Place::has(std::string_view name) const {
  return std::binary_search(names_.begin(), names_.end(), name);
}

std::optional<std::string> Place::read(const std::string& name) const {
  return folder_.read(joined(path_, name));
}

Place Place::below(const std::string& name) const { return {folder_, joined(path_, name)}; }

}  // namespace locald::project::init
