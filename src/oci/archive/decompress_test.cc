#include "oci/archive/decompress.h"

#include <gtest/gtest.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include "oci/archive/read_ahead.h"
#include "oci/archive/test_tar.h"

namespace locald::oci {
namespace {

using test::StringSource;

std::string gzip(const std::string& text) {
  std::string out(text.size() + (64u << 10), '\0');
  isal_zstream stream;
  isal_deflate_stateless_init(&stream);
  stream.end_of_stream = 1;
  stream.gzip_flag = IGZIP_GZIP;
  stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<std::uint32_t>(text.size());
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = static_cast<std::uint32_t>(out.size());
  EXPECT_EQ(isal_deflate_stateless(&stream), COMP_OK);
  out.resize(stream.total_out);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

/// What comes out, or "ERROR: …".
std::string inflate(const std::string& bytes, std::string_view type = "",
                    std::size_t step = 1u << 20, LayerLimits limits = {}) {
  StringSource source(bytes, step);
  Decompressor inflated(source, type, limits);
  std::string error;
  std::string out = test::read_to_end(inflated, &error);
  if (!error.empty()) return "ERROR: " + error;
  EXPECT_TRUE(source.drained());
  return out;
}

bool refused(const std::string& out, const std::string& why) {
  return out.starts_with("ERROR: ") && out.find(why) != std::string::npos;
}

constexpr std::string_view kGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
constexpr std::string_view kPlain = "application/vnd.oci.image.layer.v1.tar";

TEST(Decompress, InflatesEachKindHoweverItIsCut) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * 7919) + ",";
  for (const std::size_t step : {1u, 2u, 3u, 7u, 4096u, 1u << 20}) {
    EXPECT_EQ(inflate(text, kPlain, step), text) << step;
    EXPECT_EQ(inflate(gzip(text), kGzip, step), text) << step;
    EXPECT_EQ(inflate(zstd(text), "", step), text) << step;
  }
}

TEST(Decompress, ReadsGzipMembersAsOneStream) {
  for (const std::size_t step : {1u, 5u, 4096u})
    EXPECT_EQ(inflate(gzip("one ") + gzip("") + gzip("two"), kGzip, step), "one two") << step;
}

TEST(Decompress, IgnoresBytesBehindTheLastGzipMemberThatAreNoMember) {
  for (const std::size_t step : {1u, 4096u}) {
    EXPECT_EQ(inflate(gzip("x") + std::string(700, '\0'), kGzip, step), "x");
    EXPECT_EQ(inflate(gzip("x") + "\x1f", kGzip, step), "x");
    EXPECT_TRUE(refused(inflate(gzip("x") + "\x1f\x8b\x08", kGzip, step), "ends early"));
  }
}

TEST(Decompress, RefusesGzipThatEndsEarlyOrIsDamaged) {
  const std::string good = gzip(std::string(5000, 'a') + "bcdefgh");
  for (std::size_t cut = 6; cut < good.size(); cut += 3)
    EXPECT_TRUE(refused(inflate(good.substr(0, cut)), "ends early")) << cut;
  for (std::size_t at = good.size() - 8; at < good.size(); ++at) {  // CRC-32 and length
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_TRUE(refused(inflate(bad), "checksum")) << at;
  }
}

/// What the fuzzer found: isal 2.30 counts the bytes that are left below zero and reads on behind
/// them. (The sanitizer sees it where the bytes stand in a buffer of their own.)
TEST(Decompress, ReadsNothingBehindDamagedGzip) {
  const std::string hex =
      "1f8b08000000000002034b2acdcc4929484cced62bc9cfcd61a009300002331313300d04e83426db"
      "d0c0d4cc8c41ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff1805a360b6"
      "050000000000008000060000";
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  for (const std::size_t step : {std::size_t{1} << 20, std::size_t{100}, std::size_t{7}})
    EXPECT_EQ(inflate(bytes, "", step).rfind("ERROR: the gzip data is damaged", 0), 0u) << step;
}

TEST(Decompress, ReadsGzipHeadersOfEveryKind) {
  const std::string body = gzip("hello").substr(10);
  const auto header = [](char flags) {
    return std::string("\x1f\x8b\x08", 3) + flags + std::string(6, '\0');
  };
  for (const std::size_t step : {1u, 4096u}) {
    EXPECT_EQ(inflate(header(4) + std::string("\x03\0abc", 5) + body, "", step), "hello");
    EXPECT_EQ(inflate(header(8) + std::string("name\0", 5) + body, "", step), "hello");
    EXPECT_EQ(inflate(header(24) + std::string("name\0comment\0", 13) + body, "", step), "hello");
    // CRC-16 of the ten bytes above, as zlib computes it.
    EXPECT_EQ(inflate(header(2) + "\x1d\x26" + body, "", step), "hello");
    EXPECT_TRUE(refused(inflate(header(2) + "xx" + body, "", step), "header checksum"));
    EXPECT_TRUE(refused(inflate(header(32) + body, "", step), "header"));
    EXPECT_TRUE(refused(inflate(header(8) + "name", "", step), "ends early"));
  }
}

TEST(Decompress, ReadsZstdFramesAndSkipsSkippableOnes) {
  const std::string skippable("\x53\x2a\x4d\x18\x03\0\0\0abc", 11);
  for (const std::size_t step : {1u, 4096u})
    EXPECT_EQ(inflate(skippable + zstd("one ") + skippable + zstd("two") + skippable, "", step),
              "one two");
}

TEST(Decompress, RefusesZstdThatEndsEarlyOrGoesOnAsSomethingElse) {
  const std::string good = zstd(std::string(5000, 'a') + "bcdefgh");
  for (std::size_t cut = 6; cut < good.size(); ++cut)
    EXPECT_TRUE(refused(inflate(good.substr(0, cut)), "ends early")) << cut;
  EXPECT_TRUE(refused(inflate(good + "junk"), "damaged"));
}

TEST(Decompress, RefusesAZstdWindowBeyondTheLimit) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string out(1u << 20, '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{"hello", 5, 0};
  ASSERT_EQ(ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush) & 0, 0u);
  ZSTD_compressStream2(context, &to, &from, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  EXPECT_EQ(inflate(out), "hello");
  EXPECT_TRUE(refused(inflate(out, "", 4096, {.max_zstd_window_log = 20}), "damaged"));
}

TEST(Decompress, TakesTheBytesForWhatTheyAreAndSaysSo) {
  StringSource source("plain text, declared as gzip");
  Decompressor inflated(source, kGzip, {});
  EXPECT_EQ(test::read_to_end(inflated), "plain text, declared as gzip");
  EXPECT_NE(inflated.warning().find("plain tar"), std::string::npos);
  EXPECT_EQ(inflate(gzip("x"), kPlain), "x");
}

TEST(Decompress, RefusesUnknownTypesAndCompressionsByName) {
  EXPECT_TRUE(
      refused(inflate(gzip("x"), "application/vnd.oci.image.layer.v1.tar+invalid"), "+invalid"));
  EXPECT_TRUE(refused(inflate(gzip("x"), "text/plain"), "text/plain"));
  EXPECT_TRUE(refused(inflate(std::string("\xfd"
                                          "7zXZ\0....",
                                          10)),
                      "xz"));
  EXPECT_TRUE(refused(inflate("BZh91AY"), "bzip2"));
}

TEST(Decompress, OfNothingIsNothing) {
  EXPECT_EQ(inflate("", kGzip), "");
  EXPECT_EQ(inflate(gzip(""), kGzip), "");
  EXPECT_EQ(inflate(zstd("")), "");
}

TEST(Decompress, StopsAnExpansionBeyondTheRatio) {
  const std::string bomb = gzip(std::string(8u << 20, '\0'));
  LayerLimits limits;
  limits.max_ratio = 100;
  limits.ratio_from_bytes = 1u << 20;
  EXPECT_TRUE(refused(inflate(bomb, "", 4096, limits), "compression ratio exceeds 100:1"));
  limits.ratio_from_bytes = 16u << 20;  // small things may expand as they like
  EXPECT_EQ(inflate(bomb, "", 4096, limits).size(), 8u << 20);
}

TEST(ReadAhead, HandsOverAllBytesInOrderAndTheErrorAfterThem) {
  std::string text;
  for (int i = 0; i < 700000; ++i) text += std::to_string(i) + ",";
  {
    StringSource source(gzip(text), 10000);
    Decompressor inflated(source, "", {});
    ReadAhead ahead(inflated);
    EXPECT_EQ(test::read_to_end(ahead), text);
    EXPECT_TRUE(ahead.read()->empty());  // the end stays the end
  }
  std::string bytes = gzip(text);
  bytes.resize(bytes.size() - 3);
  StringSource source(bytes, 10000);
  Decompressor inflated(source, "", {});
  ReadAhead ahead(inflated);
  std::string error;
  EXPECT_EQ(test::read_to_end(ahead, &error).size(), text.size());
  EXPECT_NE(error.find("ends early"), std::string::npos);
}

TEST(ReadAhead, MayBeLeftBeforeTheEnd) {
  StringSource source(gzip(std::string(20u << 20, 'x')), 100);
  LayerLimits limits;
  limits.max_ratio = 1'000'000;
  Decompressor inflated(source, "", limits);
  ReadAhead ahead(inflated);
  ASSERT_TRUE(ahead.read());
}

}  // namespace
}  // namespace locald::oci
