#include "oci/archive/tar_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/json/json.h"
#include "oci/archive/tar_reader.h"
#include "oci/archive/test_tar.h"
#include "oci/layer/test_tree.h"
#include "oci/ref/digest.h"
#include "oci/spec/go_tool.h"

namespace locald::oci {
namespace {

using Type = TarHeader::Type;

std::string times(int count, const std::string& text) {
  std::string out;
  while (count-- > 0) out += text;
  return out;
}

/// Names, targets, sizes and numbers at every edge of the formats.
std::vector<TarHeader> odd_entries() {
  std::vector<TarHeader> out;
  const auto add = [&](Type type, std::string name, std::string link = {}) -> TarHeader& {
    out.push_back({.type = type,
                   .name = std::move(name),
                   .link = std::move(link),
                   .mode = 0644,
                   .uid = 1001,
                   .gid = 1000,
                   .mtime = 315532801});
    return out.back();
  };
  add(Type::file, "/layers/test_layers/a/file");
  add(Type::folder, "/workspace");
  add(Type::folder, "/workspace/").mode = 01777;
  add(Type::file, "/setuid").mode = 06777;
  add(Type::symlink, "/cnb/process/web", "/cnb/lifecycle/launcher").uid = 0;
  add(Type::fifo, "/fifo");
  add(Type::character_device, "/null") = {
      .type = Type::character_device, .name = "/null", .mode = 0666, .major = 1, .minor = 3};
  add(Type::block_device, "/disk") = {
      .type = Type::block_device, .name = "/disk", .mode = 0660, .major = 4095, .minor = 1048575};
  for (const int n : {99, 100, 101, 154, 155, 156, 157, 200, 254, 255, 256, 257, 258, 300, 1000}) {
    add(Type::file, "/" + std::string(n - 1, 'n'));
    for (const int at : {1, 10, 50, 99, 100, 101, 154, 155, 156}) {
      if (at >= n - 2) continue;
      add(Type::file, std::string(at, 'n') + "/" + std::string(n - at - 1, 'm'));
      add(Type::folder, std::string(at, 'n') + "/" + std::string(n - at - 2, 'm') + "/");
    }
    add(Type::file, times(300, "dir9/").substr(0, static_cast<std::size_t>(n - 3)) + "end");
  }
  add(Type::file, "/" + std::string(98, 'd') + "/x");  // pax's own header is cut behind a slash
  add(Type::file, "/ö" + std::string(96, 'd') + times(40, "/x"));
  add(Type::file, "/ö" + std::string(95, 'd') + "//" + std::string(9, 'x'));
  for (const int n : {100, 101, 255, 1000}) add(Type::symlink, "/link", std::string(n, 't'));
  add(Type::symlink, "/" + std::string(150, 'k'), std::string(101, 't'));
  add(Type::symlink, "/p/" + std::string(90, 'k') + "/" + std::string(90, 'l'), "ü");
  for (const char* text :
       {"grün", "日本語", "\xf0\x9f\x99\x82", "mixed/ä/b", "/layers/test/ünï/file", "e\xcc\x81",
        "\xff\xfe", "bad\xc3(", "/x/\xe2\x82",
        "/a\xc0\xaf"
        "b",
        "tab\there\nnewline", "/\x7f\x01"}) {
    add(Type::file, text);
    add(Type::symlink, "/l", text);
    add(Type::folder, std::string(text) + "/");
  }
  for (const std::uint64_t size : {std::uint64_t{8589934591}, std::uint64_t{8589934592},
                                   std::uint64_t{1} << 40, std::uint64_t{1} << 62}) {
    add(Type::file, "/big").size = size;
    add(Type::file, "/big/" + std::string(200, 'g')).size = size;
  }
  for (const std::uint64_t id : {2097151ull, 2097152ull, 4294967295ull}) {
    add(Type::file, "/owner").uid = id;
    add(Type::file, "/owner").gid = id;
    add(Type::character_device, "/dev").major = static_cast<std::uint32_t>(id);
    add(Type::block_device, "/dev/" + std::string(120, 'x')).minor = static_cast<std::uint32_t>(id);
  }
  TarHeader& gnu = add(Type::symlink, "/dev/ä" + std::string(120, 'x'), std::string(120, 't'));
  gnu.major = 1u << 31;
  gnu.uid = gnu.gid = 4294967295u;
  for (const char* name : {"", "noslash", "trailing/"}) add(Type::file, name);
  for (const char* folder : {"//double//slash", "./dot/../", "../../", "/../"})
    add(Type::file, folder + std::string(120, 'x'));
  for (const std::int64_t time : {0LL, 1700000000LL, 8589934591LL})
    add(Type::file, "/t").mtime = time;
  add(Type::file, "/m").mode = 07777;
  // A pax record counts its own length: around the change of its digits.
  for (int n = 85; n < 125; ++n) add(Type::file, "äää" + std::string(n, 'p'));
  for (int n = 970; n < 1000; ++n) add(Type::symlink, "/l", std::string(n, 'p'));
  return out;
}

/// The headers alone, an archive each.
std::string headers_of(const std::vector<TarHeader>& entries) {
  test::StringSink sink;
  for (const TarHeader& entry : entries)
    if (const auto written = TarWriter(sink).entry(entry); !written) sink.bytes += "refused\n";
  return sink.bytes;
}

std::string base64(const std::string& text) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    unsigned word = 0;
    for (std::size_t j = 0; j < 3; ++j)
      word = word << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      out += i + j > text.size() ? '=' : kDigits[word >> (18 - 6 * j) & 63];
  }
  return out;
}

TEST(TarWriter, WritesTheHeadersThatGoWrites) {
  // The digest is of Go's output; the next test asks Go itself.
  EXPECT_EQ(Digest::of(headers_of(odd_entries())).hex(),
            "61bf1804e44688cd4d5c9ee7e89335826e4db1c6d2524c1a2ac104d9bd383d79");
}

TEST(TarWriter, WritesTheHeadersThatTheGoHereWrites) {
  const auto go = test::find_go();
  if (!go) GTEST_SKIP() << "needs Go, in PATH or /usr/local/go";
  const test::TempDir dir;
  std::string lines;
  for (const TarHeader& e : odd_entries())
    lines += Json::object({{"Type", std::string(1, static_cast<char>(e.type))},
                           {"Name", base64(e.name)},
                           {"Link", base64(e.link)},
                           {"Mode", e.mode},
                           {"Uid", e.uid},
                           {"Gid", e.gid},
                           {"Size", e.size},
                           {"Time", e.mtime},
                           {"Major", e.major},
                           {"Minor", e.minor}})
                 .dump() +
             "\n";
  ASSERT_TRUE(write_file_atomic(dir / "headers", lines));
  const std::string theirs = test::run_layer_tar(*go, {"headers", dir / "headers"}, dir.path());
  const std::string ours = headers_of(odd_entries());
  const auto differs = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end()).first;
  EXPECT_EQ(ours.size(), theirs.size());
  EXPECT_TRUE(ours == theirs) << "at block " << (differs - ours.begin()) / 512 << ", byte "
                              << (differs - ours.begin()) % 512;
  EXPECT_EQ(Digest::of(theirs).hex(), Digest::of(ours).hex());
}

TEST(TarWriter, PadsContentsAndEndsWithTwoEmptyBlocks) {
  test::StringSink sink;
  TarWriter tar(sink);
  const std::string content(513, 'x');
  ASSERT_TRUE(tar.entry({.name = "/a", .mode = 0600, .size = content.size()}));
  ASSERT_TRUE(tar.write(std::as_bytes(std::span(content))));
  ASSERT_TRUE(tar.entry({.type = Type::folder, .name = "/d", .mode = 0755}));
  ASSERT_TRUE(tar.finish());
  ASSERT_EQ(sink.bytes.size(), 512u + 1024 + 512 + 1024);
  EXPECT_EQ(sink.bytes.substr(512, 513), content);
  EXPECT_EQ(sink.bytes.substr(1025, 511), std::string(511, '\0'));
  EXPECT_EQ(sink.bytes.substr(2048), std::string(1024, '\0'));
}

TEST(TarWriter, RefusesMoreOrLessContentThanAnnounced) {
  test::StringSink sink;
  TarWriter tar(sink);
  const std::string content = "1234";
  ASSERT_TRUE(tar.entry({.name = "/a", .size = 3}));
  EXPECT_EQ(tar.write(std::as_bytes(std::span(content))).error().code(), Errc::failed);
  EXPECT_EQ(tar.entry({.name = "/b"}).error().code(), Errc::failed);
  EXPECT_EQ(tar.finish().error().code(), Errc::failed);
}

TEST(TarWriter, RefusesWhatNoFormatHolds) {
  test::StringSink sink;
  TarWriter tar(sink);
  EXPECT_EQ(tar.entry({.name = std::string("a\0b", 3)}).error().code(), Errc::invalid_input);
  EXPECT_EQ(tar.entry({.type = Type::symlink, .name = "a", .link = std::string("a\0b", 3)})
                .error()
                .code(),
            Errc::invalid_input);
  EXPECT_EQ(tar.entry({.name = "folder/"}).error().code(), Errc::invalid_input);
  EXPECT_EQ(tar.entry({.name = "a", .mtime = -1}).error().code(), Errc::invalid_input);
  EXPECT_TRUE(sink.bytes.empty());
}

TEST(TarWriter, WritesWhatOurReaderReads) {
  test::StringSink sink;
  TarWriter tar(sink);
  std::vector<TarHeader> written;
  for (TarHeader& e : odd_entries()) {
    constexpr std::uint64_t kNobody = 4294967295u;  // no id at all, so the reader refuses it
    if (e.size > 0 || e.uid == kNobody || e.gid == kNobody) continue;
    if (tar.entry(e)) written.push_back(e);
  }
  ASSERT_TRUE(tar.finish());
  test::StringSource source(sink.bytes);
  TarReader reader(source, LayerLimits());
  std::size_t read = 0;
  for (TarEntry entry;; ++read) {
    const auto more = reader.next(entry);
    ASSERT_TRUE(more) << more.error().text();
    if (!*more) break;
    ASSERT_LT(read, written.size());
    EXPECT_EQ(entry.path, written[read].name);
    EXPECT_EQ(entry.link, written[read].link);
    EXPECT_EQ(entry.uid, written[read].uid);
    EXPECT_EQ(entry.dev_major, written[read].major);
    EXPECT_EQ(entry.dev_minor, written[read].minor);
    EXPECT_EQ(entry.mtime.tv_sec, written[read].mtime);
  }
  EXPECT_EQ(read, written.size());
}

}  // namespace
}  // namespace locald::oci
