#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "builder/user_lookup.h"

namespace locald::builder {

/// Owner and mode of one folder or file, in the ids of the container.
struct Attributes {
  std::uint32_t uid = 0, gid = 0;
  std::uint32_t mode = 0755;  ///< permission bits with setuid, setgid and sticky
  bool plain = true;          ///< has no xattrs: uid, gid and mode are all there is to copy
  friend bool operator==(const Attributes&, const Attributes&) = default;
};

/// What one path is in a root file system, symlinks read as if its root were "/".
struct PathFacts {
  enum class Kind : std::uint8_t { missing, folder, file, other };
  Kind kind = Kind::missing;
  std::string
      resolved;  ///< where it really is: the path itself unless there are symlinks on the way
  Attributes attributes;  ///< of those present
  bool empty = false;     ///< a folder with nothing in it
  std::vector<Attributes>
      ancestors;  ///< of the existing folders on the way to `resolved`, "/" left out
  friend bool operator==(const PathFacts&, const PathFacts&) = default;
};

/// What a start needs to know of an image's tree. Collected once by a worker
/// (worker_jobs.h, "facts"), kept in Paths::facts() by manifest digest, so that the
/// server never walks layers and a warm start runs no worker. A value.
struct ImageFacts {
  static constexpr int kFormat = 1;

  Attributes root;
  UserDatabase users;
  std::map<std::string, PathFacts> paths;  ///< by the path that was asked for

  const PathFacts* find(const std::string& path) const;
  /// Those of `wanted` that are not here.
  std::vector<std::string> missing_of(const std::vector<std::string>& wanted) const;

  Json to_json() const;
  static Result<ImageFacts> from_json(const Json& json);

  /// The cached facts, if there are readable ones made under `map_id` (owners read under another
  /// map are wrong).
  static std::optional<ImageFacts> load(const std::string& file, std::string_view map_id);
  /// Replaces the file; the folder is made where missing.
  Result<void> save(const std::string& file, std::string_view map_id) const;
};

/// The paths every container asks about: what is mounted or looked at.
const std::vector<std::string>& common_paths();

}  // namespace locald::builder
