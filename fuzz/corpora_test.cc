// Each fuzz target once over every file of its corpus, and over each file cut short: what a fuzzer
// has found once stays fixed, with any compiler and without the time that fuzzing takes.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "base/source_dir.h"
#include "base/sys/fs_at.h"

#define LOCALD_CORPUS(name) extern "C" int fuzz_##name(const unsigned char*, std::size_t);
#include "corpora.inc"
#undef LOCALD_CORPUS

namespace {

struct Input {
  std::string name;
  std::vector<unsigned char> bytes;
};

/// In a process of its own: a target may end it, or give its privileges away.
void replay(const std::string& name, int (*target)(const unsigned char*, std::size_t)) {
  std::vector<Input> inputs;
  const std::filesystem::path folder = std::string(LOCALD_SOURCE_DIR "/fuzz/corpus/") + name;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto text = locald::read_file(entry.path().string());
    ASSERT_TRUE(text.has_value()) << entry.path();
    inputs.push_back({entry.path().string(), {text->begin(), text->end()}});
  }
  ASSERT_FALSE(inputs.empty()) << folder;
  constexpr std::size_t kLine = 4096;
  void* const shared =
      ::mmap(nullptr, kLine, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  char* const last = static_cast<char*>(shared);  // what the child was at
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    for (const Input& input : inputs) {
      const std::size_t step = input.bytes.size() / 64 + 1;
      for (std::size_t size = input.bytes.size();; size -= std::min(step, size)) {
        // A copy of its own: under the sanitizers a byte too far is seen.
        const std::vector<unsigned char> bytes(
            input.bytes.begin(), input.bytes.begin() + static_cast<std::ptrdiff_t>(size));
        std::snprintf(last, kLine, "%s, the first %zu bytes", input.name.c_str(), size);
        if (target(bytes.data(), bytes.size()) != 0) ::_exit(1);
        if (size == 0) break;
      }
    }
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << last;
  ::munmap(shared, kLine);
}

#define LOCALD_CORPUS(name) \
  TEST(Corpora, name) { replay(#name, fuzz_##name); }
#include "corpora.inc"

}  // namespace
