#pragma once
#include <string>
#include <vector>

#include "builder/jobs.h"

/// Jobs about the store and registries as such; they run in a worker like those of jobs.h.
namespace locald::builder {

/// Says a login to a registry. Its result: {asked}.
struct LoginJob {
  static constexpr const char* kOp = "login";
  std::string op = kOp;
  std::string registry;
  JobLogin login;
  runtime::JobWorld world = {};
  static const Fields& fields();
};
Result<Json> login_job(const Json& job);

/// What trees take of the disk, where mapped ids own them. Its result: {bytes: [one for each]}.
struct DiskJob {
  static constexpr const char* kOp = "disk";
  std::string op = kOp;
  std::vector<std::string> paths;
  runtime::JobWorld world = {};
  static const Fields& fields();
};
Result<Json> disk_job(const Json& job);

}  // namespace locald::builder
