// Each fuzz target once over every file of its corpus, and over each file cut short: what a fuzzer
// has found once stays mended, with any compiler and without the time that fuzzing takes.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/source_dir.h"
#include "base/sys/fs_at.h"

#define LOCALD_CORPUS(name) extern "C" int fuzz_##name(const unsigned char*, std::size_t);
#include "corpora.inc"
#undef LOCALD_CORPUS

namespace {

void replay(const std::string& name, int (*target)(const unsigned char*, std::size_t)) {
  int files = 0;
  const std::filesystem::path folder = std::string(LOCALD_SOURCE_DIR "/fuzz/corpus/") + name;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto text = locald::read_file(entry.path().string());
    ASSERT_TRUE(text.has_value()) << entry.path();
    SCOPED_TRACE(entry.path().string());
    const std::size_t step = text->size() / 64 + 1;
    for (std::size_t size = text->size();; size -= std::min(step, size)) {
      // A copy of its own: under the sanitizers a byte too far is seen.
      const std::vector<unsigned char> bytes(text->begin(),
                                             text->begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_EQ(target(bytes.data(), bytes.size()), 0);
      if (size == 0) break;
    }
    ++files;
  }
  EXPECT_GT(files, 0) << folder;
}

#define LOCALD_CORPUS(name) \
  TEST(Corpora, name) { replay(#name, fuzz_##name); }
#include "corpora.inc"

}  // namespace
