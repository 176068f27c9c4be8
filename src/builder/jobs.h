#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/job_world.h"

/// The jobs of this room that run in a worker, inside the user namespace: what must see mapped ids.
/// A worker is of the build that runs it, so it reads them strictly. What each does and is answered
/// with: worker_jobs.h.
namespace locald::builder {

using runtime::JobWorld;

struct JobLogin {
  std::string user, password;
  static const Fields& fields();
};

/// An image that a registry may be asked for.
struct JobImage {
  std::string image;
  std::optional<JobLogin> login;
  std::string login_hint;
  static const Fields& fields();
};

struct PullJob {
  static constexpr const char* kOp = "pull";
  std::string op = kOp;
  JobImage from;
  std::string policy;
  JobWorld world = {};
  static const Fields& fields();
};

/// Into the folder that is the job's file.
struct UnpackJob {
  static constexpr const char* kOp = "unpack";
  std::string op = kOp;
  JobImage from;
  std::string policy;
  JobWorld world = {};
  static const Fields& fields();
};

struct PushJob {
  static constexpr const char* kOp = "push";
  std::string op = kOp;
  JobImage what;  ///< by its manifest's digest
  std::string name, target;
  JobWorld world = {};
  static const Fields& fields();
};

/// A mount point that is to be made.
struct JobPoint {
  std::string path;
  bool is_file = false;
  static const Fields& fields();
};

struct FactsJob {
  static constexpr const char* kOp = "facts";
  std::string op = kOp;
  std::vector<std::string> lowers;
  std::string lower_base;
  std::vector<std::string> paths;
  std::string upper, work;  ///< a container's own folder; empty: of the image alone
  bool fresh = false;       ///< `upper` is new: it gets owner and mode of the root
  std::vector<JobPoint> create;
  std::uint64_t room = 0;  ///< bytes (TreeView::mount)
  JobWorld world = {};
  static const Fields& fields();
};

struct VolumeJob {
  static constexpr const char* kOp = "volume";
  std::string op = kOp;
  std::vector<std::string> lowers;
  std::string lower_base;
  std::string source, target;
  JobWorld world = {};
  static const Fields& fields();
};

struct RemoveTreesJob {
  static constexpr const char* kOp = "remove_trees";
  std::string op = kOp;
  std::vector<std::string> paths;
  JobWorld world = {};
  static const Fields& fields();
};

struct RemoveLayersJob {
  static constexpr const char* kOp = "remove_layers";
  std::string op = kOp;
  std::vector<std::string> diff_ids;
  JobWorld world = {};
  static const Fields& fields();
};

}  // namespace locald::builder
