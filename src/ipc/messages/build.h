#pragma once
#include <chrono>

#include "ipc/messages/common.h"

/// Requests about builds and what they keep.
namespace locald::ipc {

/// A folder that is built without being part of a project.
struct AppFolder {
  std::string path, base_dir;
  std::string builder, run_image;  ///< empty: as project.toml and the builder say
  std::map<std::string, std::string> env;
  static const Fields& fields();
};

struct BuildRequest {
  static constexpr const char* kName = "build";
  std::optional<ProjectPlace> project;  ///< absent only with `app`
  std::vector<std::string> services;    ///< empty: all that are built
  World world;
  std::optional<AppFolder> app;
  bool again = false, strict = false;
  std::string pull, output;  ///< empty: not wanted
  std::vector<std::string> tags;
  static const Fields& fields();
};

struct BuildLogsRequest {
  static constexpr const char* kName = "build/logs";
  std::optional<ProjectPlace> project;  ///< absent only with `path`
  std::vector<std::string> services;    ///< empty: all that are built
  World world;
  std::string path;
  bool all = false;
  static const Fields& fields();
};

struct CacheListRequest {
  static constexpr const char* kName = "cache/ls";
  static const Fields& fields();
};

struct CacheRemoveRequest {
  static constexpr const char* kName = "cache/rm";
  std::vector<std::string> apps;
  static const Fields& fields();
};

struct CachePruneRequest {
  static constexpr const char* kName = "cache/prune";
  std::chrono::milliseconds unused{0};
  static const Fields& fields();
};

}  // namespace locald::ipc
