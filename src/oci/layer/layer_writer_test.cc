#include "oci/layer/layer_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <string>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "oci/archive/compress.h"
#include "oci/archive/decompress.h"
#include "oci/archive/test_tar.h"
#include "oci/layer/test_tree.h"
#include "oci/spec/media_type.h"
#include "oci/store/blob_writer.h"

namespace locald::oci {
namespace {

std::string sample(std::size_t size) {
  std::string out;
  std::uint32_t x = 1;
  while (out.size() < size) {
    x = x * 1664525u + 1013904223u;
    out += x % 5 == 0 ? std::string(40, 'r') : std::to_string(x);
  }
  out.resize(size);
  return out;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::vector<std::string> in_ingest(const std::string& layout) {
  std::vector<std::string> names;
  const UniqueFd dir = *sys::open(layout + "/ingest", O_RDONLY | O_DIRECTORY);
  (void)list_dir(dir.get(), [&](const std::string& name, unsigned char) -> Result<void> {
    names.push_back(name);
    return {};
  });
  return names;
}

TEST(LayerWriter, GivesTheDiffIdAndABlobThatInflatesToTheSame) {
  const test::TempDir dir;
  const auto layout = ImageLayout::open_or_create(dir / "images");
  ASSERT_TRUE(layout);
  for (const std::size_t size : {0u, 1u, 1024u, 262144u, 262145u, 7'000'003u}) {
    const std::string content = sample(size);
    LayerWriter alone;
    ASSERT_TRUE(alone.write(bytes_of(content)));
    const auto id = std::move(alone).finish();
    ASSERT_TRUE(id);
    EXPECT_EQ(id->diff_id, Digest::of(content));
    EXPECT_EQ(id->tar_bytes, size);
    EXPECT_FALSE(id->blob);

    auto writer = *LayerWriter::into(*layout, {});
    // In odd pieces: how it is cut must not show in the result.
    for (std::size_t at = 0, step = 1; at < content.size(); at += step, step = step * 3 % 100'003)
      ASSERT_TRUE(
          writer->write(bytes_of(content).subspan(at, std::min(step, content.size() - at))));
    const auto stored = std::move(*writer).finish();
    ASSERT_TRUE(stored) << stored.error().text();
    EXPECT_EQ(stored->diff_id, id->diff_id);
    ASSERT_TRUE(stored->blob);
    EXPECT_EQ(stored->blob->media_type, kOciLayerGzip);
    const auto again = *LayerWriter::into(*layout, {});
    ASSERT_TRUE(again->write(bytes_of(content)));
    EXPECT_EQ(std::move(*again).finish()->blob, stored->blob);

    auto compressed = layout->open_verified(*stored->blob);
    ASSERT_TRUE(compressed) << compressed.error().text();
    Decompressor inflated(**compressed, kOciLayerGzip, LayerLimits());
    EXPECT_TRUE(test::read_to_end(inflated) == content) << size;
  }
  EXPECT_TRUE(in_ingest(dir / "images").empty());
}

TEST(LayerWriter, LeavesNothingWhenItIsGivenUp) {
  const test::TempDir dir;
  const auto layout = *ImageLayout::open_or_create(dir / "images");
  {
    const auto writer = *LayerWriter::into(layout, {});
    ASSERT_TRUE(writer->write(bytes_of(sample(3'000'000))));
    EXPECT_EQ(in_ingest(dir / "images").size(), 1u);
  }
  EXPECT_TRUE(in_ingest(dir / "images").empty());
}

TEST(LayerWriter, StopsWhenItIsTold) {
  const test::TempDir dir;
  const auto layout = *ImageLayout::open_or_create(dir / "images");
  std::stop_source stop;
  auto writer = *LayerWriter::into(layout, stop.get_token());
  stop.request_stop();
  Result<void> written;
  const std::string content = sample(1'000'000);
  for (int i = 0; i < 100 && written; ++i) written = writer->write(bytes_of(content));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), Errc::cancelled);
  writer.reset();
  EXPECT_TRUE(in_ingest(dir / "images").empty());
}

TEST(BlobWriter, SweepsWhatADeadOneLeftAndNotWhatIsUnderWay) {
  const test::TempDir dir;
  const auto layout = *ImageLayout::open_or_create(dir / "images");
  ASSERT_TRUE(write_file_atomic(dir / "images/ingest/new-0123456789abcdef", "left by a crash"));
  ASSERT_TRUE(write_file_atomic(dir / "images/ingest/0123", "a download, to be resumed"));
  auto first = BlobWriter::create(layout);
  ASSERT_TRUE(first);
  auto second = BlobWriter::create(layout);
  ASSERT_TRUE(second);
  EXPECT_EQ(in_ingest(dir / "images").size(), 3u);
  ASSERT_TRUE(first->write(bytes_of("first")));
  const auto blob = std::move(*first).commit("text/plain");
  ASSERT_TRUE(blob) << blob.error().text();
  EXPECT_EQ(*layout.read_document(blob->digest, 100), "first");
}

}  // namespace
}  // namespace locald::oci
