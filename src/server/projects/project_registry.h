#pragma once
#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace locald::server {

/// Which folder a project's name belongs to (STATE/projects.json): a project is
/// its name, so the same name from another folder must not touch its containers and volumes.
/// Loop thread only.
class ProjectRegistry {
 public:
  /// @param notice  set when the file had to be set aside (state_file.h)
  static Result<ProjectRegistry> load(std::string file, std::string& notice);

  /// Fine if `name` is free, in which case it is written down, or belongs to `dir` already.
  /// @return Errc::already_exists naming the other folder and both ways out.
  Result<void> claim(const std::string& name, const std::string& dir);
  /// The same, with nothing written down.
  Result<void> check(const std::string& name, const std::string& dir) const;

  /// @return Errc::not_found with the nearest name.
  Result<void> forget(const std::string& name);

  /// Writes the file again where somebody has deleted it.
  Result<void> write_back() const;

  std::optional<std::string> folder(const std::string& name) const;
  const std::map<std::string, std::string>& all() const noexcept {
    return folders_;
  }  ///< name -> folder

 private:
  explicit ProjectRegistry(std::string file) : file_(std::move(file)) {}
  Result<void> save(const std::map<std::string, std::string>& folders) const;

  std::string file_;
  std::map<std::string, std::string> folders_;
};

}  // namespace locald::server
