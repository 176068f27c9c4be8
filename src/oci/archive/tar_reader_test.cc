#include "oci/archive/tar_reader.h"

#include <gtest/gtest.h>

#include "oci/archive/test_tar.h"

namespace locald::oci {
namespace {

using test::StringSource;
using test::TarBuilder;
using EntryType = TarEntry::Type;

struct Read {
  std::vector<TarEntry> entries;
  std::vector<std::string> data;
  std::string error;
  bool drained = false;
};

Read read_tar(const std::string& bytes, LayerLimits limits = {}, std::size_t step = 10240) {
  Read out;
  StringSource source(bytes, step);
  TarReader reader(source, limits);
  TarEntry entry;
  while (true) {
    const auto more = reader.next(entry);
    if (!more) {
      out.error = more.error().message();
      break;
    }
    if (!*more) break;
    out.entries.push_back(entry);
    std::string data;
    while (entry.type == EntryType::file) {
      const auto block = reader.data();
      if (!block) {
        out.error = block.error().message();
        return out;
      }
      if (!*block) break;
      data.resize((*block)->offset, '.');  // holes show
      data.append(reinterpret_cast<const char*>((*block)->bytes.data()), (*block)->bytes.size());
    }
    out.data.push_back(data);
  }
  out.drained = source.drained();
  return out;
}

TEST(TarReader, ReadsEntriesOfEveryType) {
  const Read got = read_tar(TarBuilder()
                                .dir("d/", {.mode = 01755, .uid = 7, .gid = 8})
                                .file("d/f", "hello", {.mode = 04755})
                                .symlink("s", "../x")
                                .hardlink("h", "d/f")
                                .fifo("p")
                                .char_device("c", 5, 300)
                                .header("seven", '7', "", 0, {})
                                .bytes());
  ASSERT_EQ(got.error, "");
  ASSERT_EQ(got.entries.size(), 7u);
  EXPECT_EQ(got.entries[0].type, EntryType::dir);
  EXPECT_EQ(got.entries[0].mode, 01755u);
  EXPECT_EQ(got.entries[0].uid, 7u);
  EXPECT_EQ(got.entries[0].gid, 8u);
  EXPECT_EQ(got.entries[1].mode, 04755u);
  EXPECT_EQ(got.entries[1].mtime.tv_sec, 1'000'000'000);
  EXPECT_EQ(got.data[1], "hello");
  EXPECT_EQ(got.entries[2].link, "../x");
  EXPECT_EQ(got.entries[3].type, EntryType::hardlink);
  EXPECT_EQ(got.entries[4].type, EntryType::fifo);
  EXPECT_EQ(got.entries[5].dev_minor, 300u);
  EXPECT_EQ(got.entries[6].type, EntryType::file);
  EXPECT_TRUE(got.drained);
}

TEST(TarReader, KeepsNamesAsRawBytes) {
  const Read got = read_tar(TarBuilder()
                                .file("latin1-\xe9")
                                .pax({{"path", "utf8-\xc3\xa9"}})
                                .file("x")
                                .pax({{"path", "bad-\xff\xfe"}, {"linkpath", "to-\xe9"}})
                                .symlink("y", "z")
                                .bytes());
  ASSERT_EQ(got.error, "");
  ASSERT_EQ(got.entries.size(), 3u);
  EXPECT_EQ(got.entries[0].path, "latin1-\xe9");
  EXPECT_EQ(got.entries[1].path, "utf8-\xc3\xa9");
  EXPECT_EQ(got.entries[2].path, "bad-\xff\xfe");
  EXPECT_EQ(got.entries[2].link, "to-\xe9");
}

TEST(TarReader, ReadsTimesOfAnySignAndPrecision) {
  const Read got = read_tar(TarBuilder()
                                .pax({{"mtime", "1700000000.123456789"}})
                                .file("a")
                                .pax({{"mtime", "-1.5"}})
                                .file("b")
                                .pax({{"mtime", "-86400"}})
                                .file("c")
                                .bytes());
  ASSERT_EQ(got.entries.size(), 3u);
  EXPECT_EQ(got.entries[0].mtime.tv_nsec, 123456789);
  EXPECT_EQ(got.entries[1].mtime.tv_sec, -2);
  EXPECT_EQ(got.entries[1].mtime.tv_nsec, 500'000'000);
  EXPECT_EQ(got.entries[2].mtime.tv_sec, -86400);
}

TEST(TarReader, TakesXattrsAsBytesTheLastOfANameWins) {
  const Read got = read_tar(TarBuilder()
                                .pax({{"SCHILY.xattr.user.a", "first"},
                                      {"SCHILY.xattr.user.b", std::string("1\0\xff", 3)},
                                      {"SCHILY.xattr.user.a", "second"}})
                                .file("f")
                                .file("g")
                                .bytes());
  ASSERT_EQ(got.entries.size(), 2u);
  std::map<std::string, std::string> xattrs;
  for (const auto& x : got.entries[0].xattrs) EXPECT_TRUE(xattrs.emplace(x.name, x.value).second);
  EXPECT_EQ(xattrs["user.a"], "second");
  EXPECT_EQ(xattrs["user.b"], std::string("1\0\xff", 3));
  EXPECT_TRUE(got.entries[1].xattrs.empty());
}

TEST(TarReader, IgnoresGlobalHeaders) {
  const Read got = read_tar(
      TarBuilder().pax({{"path", "evil"}, {"comment", "x"}}, 'g').file("good", "1").bytes());
  ASSERT_EQ(got.entries.size(), 1u);
  EXPECT_EQ(got.entries[0].path, "good");
}

TEST(TarReader, ShowsHolesOfSparseFilesAsGaps) {
  const Read got = read_tar(TarBuilder()
                                .pax({{"GNU.sparse.name", "sparse"},
                                      {"GNU.sparse.size", "10"},
                                      {"GNU.sparse.map", "2,3,7,1"}})
                                .file("x", "abcd")
                                .bytes());
  ASSERT_EQ(got.error, "");
  ASSERT_EQ(got.entries.size(), 1u);
  EXPECT_EQ(got.entries[0].path, "sparse");
  EXPECT_EQ(got.entries[0].size, 10u);
  EXPECT_EQ(got.data[0], "..abc..d");
}

TEST(TarReader, LimitsThePiecesOfASparseFile) {
  std::string map;
  for (int i = 0; i < 50; ++i) map += (i != 0 ? "," : "") + std::to_string(2 * i) + ",1";
  LayerLimits limits;
  limits.max_sparse_extents = 10;
  const std::string tar = TarBuilder()
                              .pax({{"GNU.sparse.size", "100"}, {"GNU.sparse.map", map}})
                              .file("x", std::string(50, 'x'))
                              .bytes();
  EXPECT_NE(read_tar(tar, limits).error.find("pieces"), std::string::npos);
  EXPECT_EQ(read_tar(tar).error, "");
}

TEST(TarReader, SkipsTheBodyOfAHardLinkAndFindsWhatFollows) {
  const Read got = read_tar(TarBuilder()
                                .file("f", "data")
                                .pax({{"comment", "so that it is a PAX archive"}})
                                .header("h", '1', "f", 4, {})
                                .body("data")
                                .file("last")
                                .bytes());
  ASSERT_EQ(got.error, "");
  ASSERT_EQ(got.entries.size(), 3u);
  EXPECT_EQ(got.entries[1].type, EntryType::hardlink);
  EXPECT_EQ(got.entries[2].path, "last");
}

TEST(TarReader, ReadsEmptyArchivesOfEveryKind) {
  for (const std::string& bytes :
       {std::string(), std::string(512, '\0'), std::string(1024, '\0'), std::string(10240, '\0')}) {
    const Read got = read_tar(bytes);
    EXPECT_EQ(got.error, "") << bytes.size();
    EXPECT_TRUE(got.entries.empty());
    EXPECT_TRUE(got.drained);
  }
}

TEST(TarReader, ReadsToTheEndOfTheSourceWhateverFollowsTheArchive) {
  const Read got = read_tar(TarBuilder().file("f").bytes() + "trailing junk");
  EXPECT_EQ(got.error, "");
  EXPECT_TRUE(got.drained);
  EXPECT_EQ(read_tar(TarBuilder().file("f").without_end()).error, "");  // no zero blocks at all
}

TEST(TarReader, RefusesDamage) {
  const std::string good = TarBuilder().file("f", std::string(3000, 'x')).bytes();
  EXPECT_NE(read_tar(good.substr(0, 2000)).error, "");
  EXPECT_NE(read_tar(good.substr(0, 300)).error, "");
  EXPECT_NE(read_tar(std::string(2000, 'j')).error, "");
  std::string bad = TarBuilder().file("a").file("b").bytes();
  bad[512] = 'X';  // the second header's checksum is wrong now
  EXPECT_NE(read_tar(bad).error, "");
  TarBuilder chain;
  for (int i = 0; i < 100; ++i) chain.pax({{"comment", "x"}}, 'g');
  EXPECT_NE(read_tar(chain.file("f").bytes()).error, "");
  EXPECT_NE(
      read_tar(
          TarBuilder().header("x", 'x', "", 20, {}).body("99 path=short\n......").file("f").bytes())
          .error,
      "");
  EXPECT_NE(read_tar(TarBuilder().pax({{"size", "-5"}}).file("f").bytes()).error, "");
}

TEST(TarReader, KeepsTheLimits) {
  LayerLimits limits;
  limits.max_entries = 2;
  EXPECT_EQ(read_tar(TarBuilder().file("a").file("b").bytes(), limits).error, "");
  EXPECT_NE(
      read_tar(TarBuilder().file("a").file("b").file("c").bytes(), limits).error.find("entries"),
      std::string::npos);
  const std::string long_name(5000, 'n');
  EXPECT_NE(read_tar(TarBuilder().pax({{"path", long_name}}).file("a").bytes())
                .error.find("longer than 4096"),
            std::string::npos);
  EXPECT_NE(read_tar(TarBuilder().pax({{"linkpath", long_name}}).symlink("a", "b").bytes())
                .error.find("longer"),
            std::string::npos);
  EXPECT_NE(
      read_tar(
          TarBuilder().pax({{"SCHILY.xattr.user.x", std::string(70'000, 'v')}}).file("a").bytes())
          .error.find("too large"),
      std::string::npos);
  EXPECT_NE(
      read_tar(TarBuilder().pax({{"comment", std::string(2u << 20, 'c')}}).file("a").bytes()).error,
      "");
  EXPECT_NE(read_tar(TarBuilder().pax({{"uid", "5000000000"}}).file("a").bytes())
                .error.find("not a user"),
            std::string::npos);
}

}  // namespace
}  // namespace locald::oci
