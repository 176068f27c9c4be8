#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "builder/jobs.h"

/// The jobs of this room that run in a worker, and what they come to. As those of builder/jobs.h
/// they are read strictly. What each does: worker_jobs.h.
namespace locald::cnb {

using builder::JobWorld;

/// An app's folder (AppStore), which the paths of a job are relative to.
struct JobApp {
  std::string top;                 ///< absolute
  std::uint32_t uid = 0, gid = 0;  ///< the build user's, as the worker sees them
  static const Fields& fields();
};

struct JobFile {
  std::string path, text;
  static const Fields& fields();
};

/// What is to be made, instead of what is in the way.
struct JobFiles {
  std::vector<std::string> folders;
  std::vector<JobFile> files;
  static const Fields& fields();
};

/// A copy of the source that is to be brought up to date.
struct JobStaging {
  std::string source;  ///< absolute; its descriptor is the job's file
  std::string want;    ///< the scan of the source
  std::string have;    ///< the scan of what is in `spare`
  std::string spare;
  static const Fields& fields();
};

struct StagingResult {
  std::vector<std::string> changed;  ///< in the source, while it was copied
  std::uint64_t copied = 0, bytes = 0;
  static const Fields& fields();
};

struct BeginJob {
  static constexpr const char* kOp = "cnb_begin";
  std::string op = kOp;
  JobApp app;
  JobFiles make;
  JobStaging staging;
  std::string workspace;  ///< where the whole copy is moved to
  std::string previous;   ///< a layout's folder; empty: none
  JobWorld world = {};
  static const Fields& fields();
};

struct FilesJob {
  static constexpr const char* kOp = "cnb_files";
  std::string op = kOp;
  JobApp app;
  JobFiles make;
  JobWorld world = {};
  static const Fields& fields();
};

struct RestoreJob {
  static constexpr const char* kOp = "cnb_restore";
  std::string op = kOp;
  JobApp app;
  Json before;  ///< a Generation, or null
  JobWorld world = {};
  static const Fields& fields();
};

struct RestoreResult {
  std::map<std::string, std::string> layers;  ///< "<buildpack folder>/<layer>" -> tree
  std::int64_t stamp_ns = 0, clock_ns = 0;    ///< ChangeMark: when all was there
  static const Fields& fields();
};

struct CommitJob {
  static constexpr const char* kOp = "cnb_commit";
  std::string op = kOp;
  JobApp app;
  std::uint64_t number = 0;
  Json before;  ///< a Generation, or null
  RestoreResult restored;
  std::vector<std::string> lowers;  ///< the builder's
  std::string lower_base;
  JobWorld world = {};
  static const Fields& fields();
};

struct WrittenJob {
  static constexpr const char* kOp = "cnb_written";
  std::string op = kOp;
  JobApp app;
  std::string workspace;
  std::string want;                  ///< the scan of the source
  std::vector<std::string> folders;  ///< of the workspace
  JobWorld world = {};
  static const Fields& fields();
};

struct WrittenResult {
  std::vector<std::string> paths;
  static const Fields& fields();
};

struct SpareJob {
  static constexpr const char* kOp = "cnb_spare";
  std::string op = kOp;
  JobApp app;
  JobStaging staging;
  std::vector<std::string> trees;
  JobWorld world = {};
  static const Fields& fields();
};

struct ExportOwner {
  std::uint32_t uid = 0, gid = 0;
  static const Fields& fields();
};

struct ExportJob {
  static constexpr const char* kOp = "cnb_export";
  std::string op = kOp;
  JobApp app;
  Json generation;
  Json known;         ///< PackedLayers
  ExportOwner owner;  ///< whose everything is, as written
  JobWorld world = {};
  static const Fields& fields();
};

struct ExportResult {
  Json packed;  ///< PackedLayers: all of the generation's
  std::uint64_t made = 0;
  static const Fields& fields();
};

struct CheckLayoutJob {
  static constexpr const char* kOp = "cnb_check_layout";
  std::string op = kOp;
  JobApp app;
  std::string folder;
  JobWorld world = {};
  static const Fields& fields();
};

struct LayoutConfigJob {
  static constexpr const char* kOp = "cnb_layout_config";
  std::string op = kOp;
  JobApp app;
  std::string folder;
  JobWorld world = {};
  static const Fields& fields();
};

struct LayoutConfigResult {
  std::string config;  ///< the document
  static const Fields& fields();
};

struct UsageJob {
  static constexpr const char* kOp = "cnb_usage";
  std::string op = kOp;
  std::string path;  ///< absolute
  JobWorld world = {};
  static const Fields& fields();
};

struct UsageResult {
  std::uint64_t bytes = 0;
  static const Fields& fields();
};

}  // namespace locald::cnb
