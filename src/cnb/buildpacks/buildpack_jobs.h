#pragma once
#include "cnb/jobs.h"

/// The jobs of buildpack_job.h. `store` is the folder of the store of added buildpacks.
namespace locald::cnb {

/// Copies what a scan of the folder has.
struct BuildpackFolderJob {
  static constexpr const char* kOp = "cnb_buildpack_folder";
  std::string op = kOp;
  std::string store, key;
  std::string folder;  ///< absolute; its descriptor is the job's file
  std::string index;   ///< the file of the scan
  JobWorld world = {};
  static const Fields& fields();
};

/// A tar of a buildpack's folder, plain, gzip or zstd; or a package (.cnb).
struct BuildpackArchiveJob {
  static constexpr const char* kOp = "cnb_buildpack_archive";
  std::string op = kOp;
  std::string store;
  std::string path;  ///< absolute; its descriptor is the job's file
  JobWorld world = {};
  static const Fields& fields();
};

/// Downloads such a one.
struct BuildpackUrlJob {
  static constexpr const char* kOp = "cnb_buildpack_url";
  std::string op = kOp;
  std::string store, url;
  std::string etag;  ///< of the copy in the store; empty: there is none
  JobWorld world = {};
  static const Fields& fields();
};

struct BuildpackScriptJob {
  static constexpr const char* kOp = "cnb_buildpack_script";
  std::string op = kOp;
  std::string store, key;
  std::map<std::string, std::string> files;  ///< path -> text
  JobWorld world = {};
  static const Fields& fields();
};

struct BuildpackHideJob {
  static constexpr const char* kOp = "cnb_buildpack_hide";
  std::string op = kOp;
  std::string store, key;
  std::vector<std::vector<std::string>> buildpacks;  ///< each {id, version}
  JobWorld world = {};
  static const Fields& fields();
};

/// What one of them comes to.
struct BuildpackResult {
  std::vector<std::string> changed;  ///< folder: while it was copied; scan and call again
  std::string key;                   ///< archive, url: where it is in the store
  std::string stamp;                 ///< archive: file_stamp()
  std::string etag;                  ///< url
  bool not_modified = false;         ///< url: the copy in the store is the newest
  static const Fields& fields();
};

}  // namespace locald::cnb
