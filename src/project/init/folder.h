#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace locald::project::init {

/// A project's folder as `locald init` looks at it. Paths are relative to it; "" is the folder.
/// Tests have theirs in memory.
struct Folder {
  std::string dir;  ///< absolute; its last part names the project
  /// What lies in a folder; folders end with a slash. In any order; none where it cannot be read.
  std::function<std::vector<std::string>(const std::string& path)> names;
  /// A file's text; nothing where there is none, or it is too big to be a file of a project.
  std::function<std::optional<std::string>(const std::string& path)> read;
};

/// One on the disk: regular files of at most 1 MiB. Blocks.
Folder disk_folder(const std::string& dir);

/// The folder `path` of `folder`, which outlives it.
class Place {
 public:
  Place(const Folder& folder, std::string path);

  const std::string& path() const noexcept { return path_; }
  bool has(std::string_view name) const;  ///< a folder where `name` ends with a slash
  std::optional<std::string> read(const std::string& name) const;
  /// "" where it cannot be read.
  std::string text(const std::string& name) const { return read(name).value_or(""); }
  const std::vector<std::string>& names() const& noexcept { return names_; }  ///< sorted
  std::vector<std::string> names() && { return std::move(names_); }
  Place below(const std::string& name) const;

 private:
  const Folder& folder_;
  std::string path_;
  std::vector<std::string> names_;
};

}  // namespace locald::project::init
