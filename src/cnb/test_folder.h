#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/sys/fs_at.h"
#include "base/sys/path_judge.h"
#include "base/sys/sys.h"

namespace locald::cnb {

/// A folder of a test's own, removed with it.
class TestFolder {
 public:
  TestFolder() {
    char name[] = "/tmp/locald-cnb-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TestFolder() { (void)remove_tree(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text, unsigned mode = 0644) const {
    const std::string file = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file) << text;
    ::chmod(file.c_str(), mode);
  }
  std::string read(const std::string& name) const {
    return read_file(path_ + "/" + name).value_or("(none)");
  }
  JudgedPath opened() const {
    return JudgedPath::of(sys::open(path_, O_PATH | O_DIRECTORY).value(), path_).value();
  }
  /// With its own folders in `home` of this one.
  PathJudge judge() const {
    return {Paths::from_env(
                [this](const std::string& n) {
                  return n == "LOCALD_HOME" ? std::optional(path_ + "/home") : std::nullopt;
                },
                1000)
                .value(),
            {}};
  }
  struct stat stat(const std::string& name) const {
    struct stat st {};
    if (::lstat((path_ + "/" + name).c_str(), &st) != 0) std::abort();
    return st;
  }

 private:
  std::string path_;
};

}  // namespace locald::cnb
