#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json/fields.h"
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
  /// @param own_network  From now on its containers are in a network of its own where its file does
  ///                     not say; false: they stay where they are (stays_on_host()).
  /// @return Errc::already_exists naming the other folder and both ways out.
  Result<void> claim(const std::string& name, const std::string& dir, bool own_network);
  /// The same, with nothing written down.
  Result<void> check(const std::string& name, const std::string& dir) const;

  /// The project was written down by a locald that had the host's network alone, and its file has
  /// named none since: its containers stay there.
  bool stays_on_host(const std::string& name, const std::string& dir) const;
  /// Its user has been told so.
  bool told_of_host(const std::string& name) const { return entries_.networks.contains(name); }
  Result<void> note_told(const std::string& name);

  /// A project that is up, or was until the machine ended.
  struct Up {
    std::string name, file;
    std::vector<std::string> services;  ///< that are wanted, by name

    static const Fields& fields();
    friend bool operator==(const Up&, const Up&) = default;
  };
  /// In the order in which they came up.
  const std::vector<Up>& up() const noexcept { return entries_.up; }
  /// Written down where it says something new.
  Result<void> set_up(Up project);
  Result<void> set_down(const std::string& name);

  /// @return Errc::not_found with the nearest name.
  Result<void> forget(const std::string& name);

  /// Writes the file again where somebody has deleted it.
  Result<void> write_back() const;

  std::optional<std::string> folder(const std::string& name) const;
  const std::map<std::string, std::string>& all() const noexcept {
    return entries_.folders;
  }  ///< name -> folder

 private:
  explicit ProjectRegistry(std::string file) : file_(std::move(file)) {}
  struct Entries {
    std::map<std::string, std::string> folders;
    /// Network of containers for which the file names none; a name that is not there has been
    /// written down by a locald that knew the host's alone.
    std::map<std::string, std::string> networks;
    std::vector<Up> up;
  };
  Result<void> write(const Entries& entries) const;
  Result<void> save(Entries entries);

  std::string file_;
  Entries entries_;
};

}  // namespace locald::server
