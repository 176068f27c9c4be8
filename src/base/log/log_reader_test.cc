#include "base/log/log_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <cstring>

#include "base/log/log_segment.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

/// Writes a log as a shim does: first the bytes, then their record.
class Writer {
 public:
  explicit Writer(std::string dir) : dir_(std::move(dir)) { (void)make_dirs(dir_); }

  void begin(std::uint64_t number, const std::string& instance) {
    const std::string base = dir_ + "/" + LogSegment::file_name(number, "");
    log_ = sys::open(base + ".log", O_WRONLY | O_CREAT | O_EXCL, 0600).value();
    index_ = sys::open(base + ".idx", O_WRONLY | O_CREAT | O_EXCL, 0600).value();
    LogIndexHeader header{.magic = kLogMagic,
                          .format = kLogFormat,
                          .header_bytes = sizeof(LogIndexHeader),
                          .instance = {},
                          .started_ns = time_,
                          .first_sequence = sequence_};
    instance.copy(header.instance, sizeof header.instance - 1);
    put(index_, &header, sizeof header);
    offset_ = 0;
  }
  void write(const std::string& bytes, LogStream stream = LogStream::out) {
    put(log_, bytes.data(), bytes.size());
    record(static_cast<std::uint32_t>(bytes.size()), stream,
           bytes.ends_with('\n') ? 0 : kLogPartial);
    offset_ += bytes.size();
  }
  void dropped(std::uint32_t bytes) { record(bytes, LogStream::note, kLogDropped); }
  void write_without_record(const std::string& bytes) { put(log_, bytes.data(), bytes.size()); }
  void at(std::uint64_t time_ns) { time_ = time_ns; }

 private:
  static void put(const UniqueFd& fd, const void* data, std::size_t size) {
    ASSERT_TRUE(sys::write_all(fd.get(), {static_cast<const char*>(data), size}));
  }
  void record(std::uint32_t length, LogStream stream, std::uint8_t flags) {
    const LogRecord r{.sequence = ++sequence_,
                      .time_ns = time_++,
                      .offset = offset_,
                      .length = length,
                      .stream = static_cast<std::uint8_t>(stream),
                      .flags = flags,
                      .reserved = 0};
    put(index_, &r, sizeof r);
  }
  std::string dir_;
  UniqueFd log_, index_;
  std::uint64_t sequence_ = 0, time_ = 1000, offset_ = 0;
};

class LogReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/locald-log-XXXXXX";
    root_ = ::mkdtemp(name);
  }
  void TearDown() override { (void)remove_tree(root_); }
  std::string dir(const std::string& name = "a") const { return root_ + "/" + name; }

  static std::string shown(const LogLine& line) {
    std::string text(line.text);
    if (line.stream == LogStream::err) text = "!" + text;
    return text + (line.cut ? "…" : "") + "|";
  }
  static std::string all(LogReader& reader) {
    std::string out;
    LogLine line;
    while (true) {
      auto more = reader.next(line);
      if (!more) return out + "error: " + more.error().message();
      if (!*more) return out;
      out += shown(line);
    }
  }
  static std::string read(std::vector<LogReader::Source> sources, LogReader::Options options = {}) {
    auto reader = LogReader::open(std::move(sources), options);
    return reader ? all(*reader) : "error: " + reader.error().message();
  }
  static bool readable(const LogReader& reader) {
    pollfd p{reader.fd(), POLLIN, 0};
    return ::poll(&p, 1, 2000) == 1;
  }
  std::string root_;
};

TEST_F(LogReaderTest, AMissingOrEmptyLogHasNoLines) {
  EXPECT_EQ(read({{.dir = dir("nowhere")}}), "");
  (void)make_dirs(dir());
  EXPECT_EQ(read({{.dir = dir()}}), "");
}

TEST_F(LogReaderTest, JoinsPiecesOfOneStreamAndSplitsAPieceIntoLines) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("a\nb\nc");
  w.write("E1\nE2", LogStream::err);
  w.write("c2\n");
  w.write("E3\n", LogStream::err);
  EXPECT_EQ(read({{.dir = dir()}}), "a|b|!E1|cc2|!E2E3|");
}

TEST_F(LogReaderTest, GoesOnOverRotationWithinALine) {
  Writer w(dir());
  w.begin(7, "one");
  w.write("begin ");
  w.begin(8, "one");
  w.write("end\n");
  EXPECT_EQ(read({{.dir = dir()}}), "begin end|");
}

TEST_F(LogReaderTest, AnInstancesLastLineNeedsNoNewline) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("died here");
  w.begin(2, "two");
  w.write("again\nrest");
  EXPECT_EQ(read({{.dir = dir()}}), "died here|again|rest|");
}

TEST_F(LogReaderTest, ShowsWhatAKilledShimWroteBeforeItsRecord) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("a\n");
  w.write_without_record("b\nc");
  w.begin(2, "two");
  w.write("d\n");
  EXPECT_EQ(read({{.dir = dir()}}), "a|b|c|d|");
}

TEST_F(LogReaderTest, BelievesOnlyTheIndexWhileAWriteIsUnderWay) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("a\n");
  w.write_without_record("half");
  EXPECT_EQ(read({{.dir = dir()}}), "a|");
}

TEST_F(LogReaderTest, ShowsWhatWasDropped) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("a\n");
  w.dropped(4096);
  w.write("b\n");
  EXPECT_EQ(read({{.dir = dir()}}), "a|[locald: 4096 bytes dropped]|b|");
}

TEST_F(LogReaderTest, StartsWhereItIsTold) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("old\n");
  const LogPosition end = LogReader::end_of(dir());
  w.write("new\n");
  w.begin(2, "two");
  w.write("newer\n");
  EXPECT_EQ(read({{.dir = dir(), .from = end}}), "new|newer|");
  EXPECT_EQ(read({{.dir = dir(), .from = {.segment = 2, .record = 0}}}), "newer|");
}

TEST_F(LogReaderTest, TailCountsLinesNotPieces) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("1\n2\n3\n");
  w.write("4");
  w.write("4");
  w.write("4\n5\n");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 0}), "");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 1}), "5|");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 2}), "444|5|");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 3}), "3|444|5|");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 99}), "1|2|3|444|5|");
}

TEST_F(LogReaderTest, TailCountsALastLineWithoutANewline) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("1\n2\n3");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 1}), "3|");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 2}), "2|3|");
}

TEST_F(LogReaderTest, TailFindsTheStartOfALineThatTheOtherStreamInterrupted) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("0\n");
  w.write("long ");
  w.write("E1\nE2\nE3\n", LogStream::err);
  w.write("line\n");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 1}), "long line|");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 2}), "!E3|long line|");
  EXPECT_EQ(read({{.dir = dir()}}, {.tail = 5}), "0|!E1|!E2|!E3|long line|");
}

TEST_F(LogReaderTest, TailEqualsTheEndOfTheWholeHoweverItIsCut) {
  Writer w(dir());
  std::uint64_t segment = 1;
  unsigned random = 1;
  const auto next = [&](unsigned below) {
    return (random = random * 1103515245u + 12345u) / 65536u % below;
  };
  w.begin(segment, "one");
  for (int i = 0; i < 400; ++i) {
    std::string text;
    for (unsigned n = 1 + next(12); n > 0; --n)
      text += next(4) == 0 ? '\n' : static_cast<char>('a' + next(26));
    w.write(text, next(3) == 0 ? LogStream::err : LogStream::out);
    if (next(40) != 0) continue;
    ++segment;
    w.begin(segment, next(2) == 0 ? "one" : "x" + std::to_string(segment));
  }
  std::vector<std::string> lines;
  auto reader = LogReader::open({{.dir = dir()}}, {});
  ASSERT_TRUE(reader);
  LogLine line;
  while (reader->next(line).value()) lines.push_back(shown(line));
  ASSERT_GT(lines.size(), 300u);
  for (std::size_t n : {1u, 2u, 3u, 5u, 10u, 50u, 200u}) {
    std::string want;
    for (std::size_t i = lines.size() - n; i < lines.size(); ++i) want += lines[i];
    EXPECT_EQ(read({{.dir = dir()}}, {.tail = n}), want) << n;
  }
}

TEST_F(LogReaderTest, MergesServicesByTime) {
  Writer a(dir("a")), b(dir("b"));
  a.begin(1, "a");
  b.begin(1, "b");
  a.at(10), a.write("a10\n");
  b.at(20), b.write("b20\n");
  a.at(30), a.write("a30\n");
  b.at(40), b.write("b40\n");
  EXPECT_EQ(read({{.dir = dir("a")}, {.dir = dir("b")}}), "a10|b20|a30|b40|");
  EXPECT_EQ(read({{.dir = dir("a")}, {.dir = dir("b")}}, {.since_ns = 30}), "a30|b40|");
  EXPECT_EQ(read({{.dir = dir("a")}, {.dir = dir("b")}}, {.tail = 1, .since_ns = 35}), "b40|");
}

TEST_F(LogReaderTest, FollowsOverRotationAndRestart) {
  auto reader = LogReader::open({{.dir = dir()}}, {.follow = true});
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(all(*reader), "");
  Writer w(dir());
  w.begin(1, "one");
  ASSERT_TRUE(readable(*reader));
  EXPECT_EQ(all(*reader), "");
  w.write("a\nunfin");
  ASSERT_TRUE(readable(*reader));
  EXPECT_EQ(all(*reader), "a|");
  w.write("ished\n");
  EXPECT_EQ(all(*reader), "unfinished|");
  w.begin(2, "one");
  w.write("rotated\nlast words");
  EXPECT_EQ(all(*reader), "rotated|");
  w.begin(3, "two");
  w.write("restarted\n");
  EXPECT_EQ(all(*reader), "last words|restarted|");
}

TEST_F(LogReaderTest, TakesOneMoreSourceOnTheWay) {
  Writer a(dir("a")), b(dir("b"));
  a.begin(1, "a");
  a.write("a\n");
  auto reader = LogReader::open({{.dir = dir("a")}}, {.follow = true});
  ASSERT_TRUE(reader);
  EXPECT_EQ(all(*reader), "a|");
  b.begin(1, "b");
  b.write("b\n");
  ASSERT_TRUE(reader->add({.dir = dir("b")}));
  LogLine line;
  ASSERT_TRUE(reader->next(line).value());
  EXPECT_EQ(line.source, 1u);
  EXPECT_EQ(line.text, "b");
  a.write("more\n");
  EXPECT_EQ(all(*reader), "more|");
}

TEST_F(LogReaderTest, FollowsFromTheTail) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("1\n2\n3\n");
  auto reader = LogReader::open({{.dir = dir()}}, {.follow = true, .tail = 1});
  ASSERT_TRUE(reader);
  EXPECT_EQ(all(*reader), "3|");
  w.write("4\n");
  ASSERT_TRUE(readable(*reader));
  EXPECT_EQ(all(*reader), "4|");
}

TEST_F(LogReaderTest, AReaderOutlivesTheRemovalOfOldSegments) {
  Writer w(dir());
  w.begin(1, "one");
  w.write("1\n");
  auto reader = LogReader::open({{.dir = dir()}}, {.follow = true});
  ASSERT_TRUE(reader);
  EXPECT_EQ(all(*reader), "1|");
  for (std::uint64_t n = 2; n < 6; ++n) {
    w.begin(n, "one");
    w.write(std::to_string(n) + "\n");
  }
  for (std::uint64_t n : {1u, 2u, 3u})
    for (const char* ending : {".log", ".idx"})
      ASSERT_EQ(::unlink((dir() + "/" + LogSegment::file_name(n, ending)).c_str()), 0);
  EXPECT_EQ(all(*reader), "4|5|");
}

TEST_F(LogReaderTest, KeepsALineOfEightMegabytesWhole) {
  Writer w(dir());
  w.begin(1, "one");
  for (int i = 0; i < 8; ++i) w.write(std::string(1 << 20, static_cast<char>('a' + i)));
  w.write("\nnext\n");
  auto reader = LogReader::open({{.dir = dir()}}, {.tail = 2});
  ASSERT_TRUE(reader);
  LogLine line;
  ASSERT_TRUE(reader->next(line).value());
  EXPECT_EQ(line.text.size(), 8u << 20);
  EXPECT_FALSE(line.cut);
  ASSERT_TRUE(reader->next(line).value());
  EXPECT_EQ(line.text, "next");
}

TEST_F(LogReaderTest, CutsALineWithoutEndIntoParts) {
  Writer w(dir());
  w.begin(1, "one");
  for (int i = 0; i < 17; ++i) w.write(std::string(1 << 20, 'x'));
  w.write("\n");
  auto reader = LogReader::open({{.dir = dir()}}, {});
  ASSERT_TRUE(reader);
  LogLine line;
  ASSERT_TRUE(reader->next(line).value());
  EXPECT_TRUE(line.cut);
  EXPECT_EQ(line.text.size(), LogReader::kMaxLine);
  ASSERT_TRUE(reader->next(line).value());
  EXPECT_FALSE(line.cut);
  EXPECT_EQ(line.text.size(), 1u << 20);
}

TEST_F(LogReaderTest, RefusesAFormatThatItDoesNotKnow) {
  (void)make_dirs(dir());
  ASSERT_TRUE(write_file_atomic(dir() + "/0000000000000001.idx", std::string(64, 'x')));
  ASSERT_TRUE(write_file_atomic(dir() + "/0000000000000001.log", "x"));
  EXPECT_NE(read({{.dir = dir()}}).find("does not know"), std::string::npos);
}

}  // namespace
}  // namespace locald
