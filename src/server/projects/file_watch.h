#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/sys/unique_fd.h"
#include "cnb/source/path_filter.h"
#include "project/service_config.h"

namespace locald::server {

/// Tells when files below a folder have been written, created, renamed or deleted, by inotify(7).
/// Folders that come later are watched too; symbolic links are not followed. Loop thread only.
class FileWatch {
 public:
  struct Events {
    /// Once for all that changed until it was quiet for kQuiet, kLongest at most: their paths,
    /// relative to the folder.
    std::function<void(const std::set<std::string>& paths)> changed;
    /// Once: why not all of it is watched, and what to do.
    std::function<void(const Error& error)> trouble;
  };
  static constexpr std::chrono::milliseconds kQuiet{150}, kLongest{2000};
  static constexpr std::size_t kMaxFolders = 20'000;
  /// Patterns that are left out of every watch: what tools and editors write beside the source.
  static const std::vector<std::string>& ignored();

  /// @param dir  Absolute. Looked through by a job; changes count from its end.
  /// @param what  A file that one of them takes is watched.
  FileWatch(EventLoop& loop, JobPool& jobs, std::string dir,
            const std::vector<project::WatchConfig>& what, Events events);
  ~FileWatch();  ///< no event comes afterwards
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  struct Scan;
  struct Shared;
  struct Folder {
    std::string path;    ///< relative to the folder that is watched, "" it itself
    bool files = false;  ///< it has held files that are watched
  };
  void scan(std::vector<std::string> folders, bool first);
  void take(const Scan& found, bool first);
  void read_events();
  void on_event(int wd, std::uint32_t mask, const std::string& name);
  bool forget_below(const std::string& folder);
  void note(const std::string& path);
  void tell();
  void fail(const Error& error);

  EventLoop& loop_;
  JobPool& jobs_;
  Events events_;
  std::shared_ptr<Shared> shared_;        // with the job that looks
  std::map<int, Folder> folders_;         // by their watch
  std::vector<std::string> new_folders_;  // to be looked through
  EventLoop::Handle readable_, timer_;
  EventLoop::Clock::time_point first_change_{};
  std::set<std::string> changed_;
  bool failed_ = false;
  JobPool::Job job_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace locald::server
