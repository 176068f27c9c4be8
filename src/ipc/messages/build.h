#pragma once
#include <chrono>

#include "ipc/messages/common.h"

/// Requests about builds and what they keep, and their replies.
namespace locald::ipc {

/// A folder that is built without being part of a project.
struct AppFolder {
  std::string path, base_dir;
  std::string builder, run_image;  ///< empty: as project.toml and the builder say
  std::map<std::string, std::string> env;
  static const Fields& fields();
};

struct BuildpackUsed {
  std::string id, version;
  static const Fields& fields();
};

struct ProcessType {
  std::string type;
  bool is_default = false;
  std::vector<std::string> command, args;
  bool direct = false;  ///< false: by a shell
  std::string buildpack;
  static const Fields& fields();
};

struct TimeTaken {
  std::string name;
  std::int64_t ms = 0;
  static const Fields& fields();
};

struct BuildTimes {
  std::vector<TimeTaken> phases, buildpacks;
  std::int64_t total_ms = 0;
  static const Fields& fields();
};

struct BuiltImage {
  std::string name, digest, id;
  std::uint64_t size = 0;
  static const Fields& fields();
};

/// What came of one app.
struct BuiltApp {
  std::string app, path;
  bool built = false;                 ///< false: nothing has changed
  std::optional<std::string> reason;  ///< why it was built
  std::uint64_t generation = 0;
  std::string built_at;
  bool strict = false;
  std::string builder, builder_digest, run_image, run_image_digest;
  std::string platform_api, lifecycle;
  std::vector<BuildpackUsed> buildpacks;
  std::vector<ProcessType> processes;
  BuildTimes times;
  std::optional<BuiltImage> image;  ///< absent: none was asked for
  std::vector<std::string> notices;
  std::vector<std::string> services;  ///< that it was built for; empty: a folder
  static const Fields& fields();
};

struct BuildReply {
  std::vector<BuiltApp> apps;
  static const Fields& fields();
};

struct BuildLogPlace {
  std::string name, dir;
  static const Fields& fields();
};

struct BuildLogsReply {
  std::vector<BuildLogPlace> logs;  ///< newest first
  static const Fields& fields();
};

/// What is kept of an app. Absent: not known, its record is lost.
struct CachedApp {
  std::string app;
  std::optional<std::string> project, path, builder;
  std::uint64_t bytes = 0, generations = 0;
  std::optional<std::string> last_used;
  bool in_use = false;
  static const Fields& fields();
};

struct CacheListReply {
  std::vector<CachedApp> caches;
  static const Fields& fields();
};

struct CacheRemoveReply {
  std::vector<std::string> removed;
  static const Fields& fields();
};

struct CachePruneReply {
  std::vector<CachedApp> removed;
  static const Fields& fields();
};

struct BuildRequest {
  static constexpr const char* kName = "build";
  using Reply = BuildReply;
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
  using Reply = BuildLogsReply;
  std::optional<ProjectPlace> project;  ///< absent only with `path`
  std::vector<std::string> services;    ///< empty: all that are built
  World world;
  std::string path;
  bool all = false;
  static const Fields& fields();
};

struct CacheListRequest {
  static constexpr const char* kName = "cache/ls";
  using Reply = CacheListReply;
  static const Fields& fields();
};

struct CacheRemoveRequest {
  static constexpr const char* kName = "cache/rm";
  using Reply = CacheRemoveReply;
  std::vector<std::string> apps;
  static const Fields& fields();
};

struct CachePruneRequest {
  static constexpr const char* kName = "cache/prune";
  using Reply = CachePruneReply;
  std::chrono::milliseconds unused{0};
  static const Fields& fields();
};

}  // namespace locald::ipc
