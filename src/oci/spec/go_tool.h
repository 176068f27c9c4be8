#pragma once
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/source_dir.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

/// Go itself, as the measure of what must be equal to its output: for tests.
namespace locald::oci::test {

/// The `go` command; nullopt where there is none, and tests that want it are skipped.
inline std::optional<std::string> find_go() {
  const char* path = std::getenv("PATH");
  std::string rest = std::string(path != nullptr ? path : "") + ":/usr/local/go/bin:";
  for (std::size_t colon; (colon = rest.find(':')) != std::string::npos; rest.erase(0, colon + 1))
    if (const std::string file = rest.substr(0, colon) + "/go"; ::access(file.c_str(), X_OK) == 0)
      return file;
  return std::nullopt;
}

/// What `go run tests/tools/layer_tar.go ARGUMENTS` writes; `input` is its standard input.
inline std::string run_layer_tar(const std::string& go, std::vector<std::string> arguments,
                                 const std::string& folder, const std::string& input = {}) {
  const std::string out = folder + "/go.out", in = folder + "/go.in";
  (void)write_file_atomic(in, input);
  const pid_t child = ::fork();
  if (child == 0) {
    const int from = ::open(in.c_str(), O_RDONLY | O_CLOEXEC);
    const int to = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ::dup2(from, 0);
    ::dup2(to, 1);
    ::setenv("GOTOOLCHAIN", "local", 1);
    ::setenv("GOFLAGS", "", 1);
    if (std::getenv("GOCACHE") == nullptr && std::getenv("HOME") == nullptr)
      ::setenv("GOCACHE", (folder + "/go-cache").c_str(), 1);
    std::vector<std::string> words = {go, "run", LOCALD_SOURCE_DIR "/tests/tools/layer_tar.go"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(go.c_str(), argv.data());
    ::_exit(127);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  if (status != 0) return "go failed";
  return read_file(out, 1u << 30).value_or("go left nothing");
}

}  // namespace locald::oci::test
