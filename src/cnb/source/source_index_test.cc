#include "cnb/source/source_index.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utime.h>

#include <algorithm>
#include <thread>

#include "cnb/source/path_filter.h"
#include "cnb/test_folder.h"

namespace locald::cnb {
namespace {

class SourceScan : public ::testing::Test {
 protected:
  SourceIndex scan(const SourceIndex* known = nullptr) {
    auto index = scan_source(source_.opened(), PathFilter::exclude({}), known, {});
    EXPECT_TRUE(index) << (index ? "" : index.error().text());
    return index ? std::move(*index) : SourceIndex();
  }
  static std::vector<std::string> paths(const SourceIndex& index) {
    std::vector<std::string> out;
    for (const SourceEntry& e : index.entries) out.push_back(e.path);
    return out;
  }
  /// Older than the clock's tick, so that it may be trusted.
  static void let_settle() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

  TestFolder source_;
};

TEST_F(SourceScan, FindsEverythingInOrder) {
  source_.write("b/c.js", "c");
  source_.write("a.js", "a");
  source_.write("b-x", "x", 0755);
  ASSERT_EQ(::symlink("../../etc/passwd", (source_ / "link").c_str()), 0);
  const SourceIndex index = scan();
  EXPECT_EQ(paths(index), (std::vector<std::string>{"a.js", "b", "b-x", "b/c.js", "link"}));
  EXPECT_EQ(index.entries[4].kind, SourceEntry::Kind::symlink);
  EXPECT_EQ(index.bytes(), 3u);
}

TEST_F(SourceScan, ReadsNothingThatIsAsItWas) {
  source_.write("a", "aaaa");
  source_.write("b", "bb");
  let_settle();
  const SourceIndex first = scan();
  EXPECT_EQ(first.read_bytes, 6u);
  const SourceIndex second = scan(&first);
  EXPECT_EQ(second.read_bytes, 0u);
  EXPECT_EQ(second.digest(), first.digest());
}

TEST_F(SourceScan, SaysWhetherTheScanBeforeIsStillRight) {
  source_.write("a", "aaaa");
  source_.write("d/b", "bb");
  let_settle();
  const SourceIndex first = scan();
  EXPECT_FALSE(first.as_known);
  EXPECT_TRUE(scan(&first).as_known);
  ASSERT_EQ(::chmod((source_ / "d").c_str(), 0700), 0);
  EXPECT_FALSE(scan(&first).as_known) << "a folder's mode";
  ASSERT_EQ(::chmod((source_ / "d").c_str(), first.entries[1].mode), 0);
  EXPECT_TRUE(scan(&first).as_known);
  ASSERT_EQ(::unlink((source_ / "a").c_str()), 0);
  EXPECT_FALSE(scan(&first).as_known) << "a file that has gone";
}

TEST_F(SourceScan, SeesAChangeOfTheSameSizeAndTime) {
  source_.write("a", "one");
  const struct stat before = source_.stat("a");
  let_settle();
  const SourceIndex first = scan();
  source_.write("a", "two");
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, (source_ / "a").c_str(), times, 0), 0);
  const SourceIndex second = scan(&first);
  EXPECT_EQ(second.read_bytes, 3u) << "its ctime tells";
  EXPECT_NE(second.digest(), first.digest());
}

TEST_F(SourceScan, DoesNotTrustWhatChangedWithinTheClocksTick) {
  source_.write("a", "one");
  const SourceIndex first = scan();  // at once: the file may change again in the same tick
  const SourceIndex second = scan(&first);
  EXPECT_EQ(second.read_bytes, 3u);
}

TEST(FileStamp, IsSettledOnceNoLaterChangeCanHaveTheSameTime) {
  constexpr std::int64_t kMs = 1'000'000, kThen = 1'700'000'000'000 * kMs;
  EXPECT_FALSE(is_settled(kThen + 3, kThen + 3));
  EXPECT_FALSE(is_settled(kThen + 3, kThen + 10 * kMs)) << "a tick of a slow clock";
  EXPECT_TRUE(is_settled(kThen + 3, kThen + 25 * kMs));
  EXPECT_FALSE(is_settled(kThen + 3, kThen - 5)) << "the clock was set back since";
  EXPECT_FALSE(is_settled(kThen, kThen + 1999 * kMs)) << "a file system of whole seconds";
  EXPECT_TRUE(is_settled(kThen, kThen + 2001 * kMs));
}

TEST_F(SourceScan, TouchingChangesNothing) {
  source_.write("a", "one");
  let_settle();
  const SourceIndex first = scan();
  ASSERT_EQ(::utime((source_ / "a").c_str(), nullptr), 0);
  const SourceIndex second = scan(&first);
  EXPECT_EQ(second.digest(), first.digest());
}

TEST_F(SourceScan, ModesAndNamesCount) {
  source_.write("a", "one");
  const auto digest = scan().digest();
  ASSERT_EQ(::chmod((source_ / "a").c_str(), 0755), 0);
  EXPECT_NE(scan().digest(), digest);
  ASSERT_EQ(::chmod((source_ / "a").c_str(), 0644), 0);
  EXPECT_EQ(scan().digest(), digest);
  ASSERT_EQ(::rename((source_ / "a").c_str(), (source_ / "b").c_str()), 0);
  EXPECT_NE(scan().digest(), digest);
}

TEST_F(SourceScan, LeavesLiveFoldersOutOfTheDigest) {
  source_.write("src/a", "one");
  source_.write("src2", "x");
  const auto digest = scan().digest({"src"});
  source_.write("src/a", "two");
  source_.write("src/new", "n");
  EXPECT_EQ(scan().digest({"src"}), digest);
  EXPECT_NE(scan().digest(), digest);
  source_.write("src2", "y");
  EXPECT_NE(scan().digest({"src"}), digest);
}

TEST_F(SourceScan, NamesWhatItLeavesOut) {
  ASSERT_EQ(::mkfifo((source_ / "fifo").c_str(), 0644), 0);
  source_.write("a", "a");
  const SourceIndex index = scan();
  EXPECT_EQ(paths(index), std::vector<std::string>{"a"});
  EXPECT_EQ(index.skipped, std::vector<std::string>{"fifo"});
}

TEST_F(SourceScan, RefusesWhatTheBuildUserCouldNotReadWhoeverRunsIt) {
  source_.write("secret", "s", 0000);
  auto refused = scan_source(source_.opened(), PathFilter::exclude({}), nullptr, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::denied);
  EXPECT_NE(refused.error().message().find("secret"), std::string::npos);
  EXPECT_NE(refused.error().hint().find("exclude"), std::string::npos);
  ASSERT_EQ(::unlink((source_ / "secret").c_str()), 0);
  ASSERT_EQ(::mkdir((source_ / "closed").c_str(), 0000), 0);
  EXPECT_FALSE(scan_source(source_.opened(), PathFilter::exclude({}), nullptr, {}));
}

TEST_F(SourceScan, SurvivesBeingWrittenDown) {
  source_.write("a b\n\"c\"", "x");
  source_.write("d/e", "y", 04755);
  const SourceIndex index = scan();
  TestFolder elsewhere;
  ASSERT_TRUE(index.save(elsewhere / "index"));
  const auto loaded = SourceIndex::load(elsewhere / "index");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->taken_ns, index.taken_ns);
  EXPECT_EQ(paths(*loaded), paths(index));
  EXPECT_EQ(loaded->digest(), index.digest());
  const std::string text = elsewhere.read("index");
  for (std::size_t cut = 0; cut < text.size(); cut += 7) {
    elsewhere.write("cut", text.substr(0, cut));
    const auto part = SourceIndex::load(elsewhere / "cut");
    EXPECT_TRUE(!part || part->entries.size() < index.entries.size());
  }
}

TEST_F(SourceScan, IsCancelled) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(scan_source(source_.opened(), PathFilter::exclude({}), nullptr, stop.get_token())
                .error()
                .code(),
            Errc::cancelled);
}

}  // namespace
}  // namespace locald::cnb
