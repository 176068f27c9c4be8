#include "oci/store/image_layout.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "oci/spec/media_type.h"

namespace locald::oci {
namespace {

class ImageLayoutTest : public ::testing::Test {
 protected:
  ImageLayoutTest() : dir_(::testing::TempDir() + "locald-layout-" + random_hex(6)) {}
  ~ImageLayoutTest() override { (void)remove_tree(dir_); }

  static Descriptor blob(std::string_view content) {
    return {std::string(kOciLayer), Digest::of(content), content.size()};
  }
  static std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
  }
  std::string file(const Digest& digest) const { return dir_ + "/blobs/sha256/" + digest.hex(); }
  static Result<std::string> drain(ByteSource& source) {
    std::string all;
    for (auto chunk = TRY(source.read()); !chunk.empty(); chunk = TRY(source.read()))
      all.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
    return all;
  }

  std::string dir_;
};

TEST_F(ImageLayoutTest, AFreshOneIsEmptyAndOpensAgain) {
  ASSERT_TRUE(ImageLayout::open_or_create(dir_));
  auto again = ImageLayout::open(dir_);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE((*again->index())->empty());
  struct stat st {};
  ASSERT_EQ(::stat(dir_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
}

TEST_F(ImageLayoutTest, AFolderThatIsNoneIsRefusedInWords) {
  ASSERT_TRUE(make_dirs(dir_));
  EXPECT_EQ(ImageLayout::open(dir_).error().code(), Errc::invalid_input);
  EXPECT_EQ(ImageLayout::open(dir_ + "/none").error().code(), Errc::not_found);
  std::ofstream(dir_ + "/oci-layout") << R"({"imageLayoutVersion":"2.0.0"})";
  EXPECT_EQ(ImageLayout::open(dir_).error().code(), Errc::unsupported);
}

TEST_F(ImageLayoutTest, ABlobGetsItsNameOnlyWhenItIsRight) {
  auto layout = *ImageLayout::open_or_create(dir_);
  auto in = *layout.ingest(blob("hello"));
  ASSERT_TRUE(in.write(bytes("hel")));
  EXPECT_FALSE(layout.has_blob(blob("hello")));
  ASSERT_TRUE(in.write(bytes("lo")));
  ASSERT_TRUE(std::move(in).commit());
  EXPECT_TRUE(layout.has_blob(blob("hello")));
  EXPECT_EQ(*drain(**layout.open_verified(blob("hello"))), "hello");

  auto wrong = *layout.ingest(blob("right"));
  ASSERT_TRUE(wrong.write(bytes("wrong")));
  EXPECT_EQ(std::move(wrong).commit().error().code(), Errc::corrupt);
  EXPECT_FALSE(layout.has_blob(blob("right")));
  EXPECT_FALSE(exists(dir_ + "/ingest/" + Digest::of("right").hex()));
}

TEST_F(ImageLayoutTest, AnInterruptedBlobIsResumed) {
  auto layout = *ImageLayout::open_or_create(dir_);
  {
    auto in = *layout.ingest(blob("hello"));
    ASSERT_TRUE(in.write(bytes("hel")));
  }
  auto in = *layout.ingest(blob("hello"));
  EXPECT_EQ(in.offset(), 3u);
  EXPECT_EQ(*drain(**in.prefix()), "hel");
  ASSERT_TRUE(in.write(bytes("lo")));
  EXPECT_TRUE(std::move(in).commit());
  EXPECT_EQ(*layout.read_document(Digest::of("hello"), 100), "hello");
}

TEST_F(ImageLayoutTest, TheSecondOfTwoWritersFindsTheWorkDone) {
  auto layout = *ImageLayout::open_or_create(dir_);
  auto first = *layout.ingest(blob("hello"));
  std::thread second([&] {
    auto in = layout.ingest(blob("hello"));
    ASSERT_TRUE(in) << in.error().message();
    EXPECT_TRUE(in->already_there());
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  ASSERT_TRUE(first.write(bytes("hello")));
  ASSERT_TRUE(std::move(first).commit());
  { auto gone = std::move(first); }
  second.join();
}

TEST_F(ImageLayoutTest, WaitingForAnotherWriterCanBeCancelled) {
  auto layout = *ImageLayout::open_or_create(dir_);
  auto first = *layout.ingest(blob("hello"));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(layout.ingest(blob("hello"), stop.get_token()).error().code(), Errc::cancelled);
}

TEST_F(ImageLayoutTest, DamagedBlobsAreSeen) {
  auto layout = *ImageLayout::open_or_create(dir_);
  ASSERT_TRUE(layout.add_document(blob("hello"), "hello"));
  std::ofstream(file(Digest::of("hello"))) << "hellO";
  EXPECT_EQ(layout.read_document(Digest::of("hello"), 100).error().code(), Errc::corrupt);
  EXPECT_EQ(drain(**layout.open_verified(blob("hello"))).error().code(), Errc::corrupt);
  layout.drop_blob(Digest::of("hello"));
  EXPECT_EQ(layout.read_document(Digest::of("hello"), 100).error().code(), Errc::not_found);
}

TEST_F(ImageLayoutTest, ALinkOrFifoOrFolderIsNoBlob) {
  auto layout = *ImageLayout::open_or_create(dir_);
  const Digest digest = Digest::of("hello");
  std::ofstream(dir_ + "/outside") << "hello";
  ASSERT_EQ(::symlink("../../outside", file(digest).c_str()), 0);
  EXPECT_EQ(layout.open_blob(digest).error().code(), Errc::corrupt);
  EXPECT_FALSE(layout.blob_size(digest));
  ::unlink(file(digest).c_str());
  ASSERT_EQ(::mkfifo(file(digest).c_str(), 0600), 0);
  EXPECT_EQ(layout.open_blob(digest).error().code(), Errc::corrupt);
  ::unlink(file(digest).c_str());
  ASSERT_EQ(::mkdir(file(digest).c_str(), 0700), 0);
  EXPECT_EQ(layout.open_blob(digest).error().code(), Errc::corrupt);
}

TEST_F(ImageLayoutTest, IndexChangesOfManyWritersAllLast) {
  auto layout = *ImageLayout::open_or_create(dir_);
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t)
    writers.emplace_back([this, t] {
      auto own = *ImageLayout::open(dir_);
      for (int i = 0; i < 10; ++i) {
        const std::string name = std::to_string(t) + "-" + std::to_string(i);
        ASSERT_TRUE(own.change_index([&](std::vector<Descriptor>& entries) -> Result<void> {
          entries.push_back({std::string(kOciManifest), Digest::of(name), 1, {{kRefName, name}}});
          return {};
        }));
      }
    });
  for (auto& writer : writers) writer.join();
  EXPECT_EQ((*layout.index())->size(), 40u);
}

TEST_F(ImageLayoutTest, CollectionWaitsForLeases) {
  auto layout = *ImageLayout::open_or_create(dir_);
  {
    auto lease = *layout.lease();
    EXPECT_FALSE(layout.try_exclusive()->has_value());
  }
  EXPECT_TRUE(layout.try_exclusive()->has_value());
}

TEST_F(ImageLayoutTest, OurOwnIsMadeAgainWhereItIsDamaged) {
  const Descriptor entry = blob("document");
  {
    auto layout = *ImageLayout::open_or_create(dir_);
    ASSERT_TRUE(layout.change_index([&](auto& entries) -> Result<void> {
      entries.push_back(entry);
      return {};
    }));
  }
  for (const char* name : {"oci-layout", "index.json"})
    for (const std::string garbage :
         {"", "{", "[]", R"({"imageLayoutVersion":"d.0.0","manifests":7})", "a folder"}) {
      const std::string path = dir_ + "/" + name;
      ASSERT_TRUE(remove_tree(path));
      if (garbage == "a folder") {
        ASSERT_TRUE(make_dirs(path));
      } else {
        std::ofstream(path) << garbage;
      }
      auto layout = ImageLayout::open_or_create(dir_);
      ASSERT_TRUE(layout) << name << garbage << layout.error().message();
      const auto entries = layout->index();
      ASSERT_TRUE(entries) << name << garbage << entries.error().message();
      ASSERT_EQ((*entries)->size(), 1u) << name << garbage;
      EXPECT_EQ((**entries)[0].digest, entry.digest);
      // The next change writes it whole; what was damaged lies beside it.
      ASSERT_TRUE(layout->change_index([&](auto& list) -> Result<void> {
        list.push_back(entry);
        return {};
      }));
      ASSERT_TRUE(layout->change_index([&](auto& list) -> Result<void> {
        list.pop_back();
        return {};
      }));
      EXPECT_TRUE(ImageLayout::open(dir_));
      EXPECT_EQ((*ImageLayout::open(dir_)->index())->size(), 1u);
    }
  // Without the copy too every name is fetched again.
  std::ofstream(dir_ + "/index.json") << "{";
  std::ofstream(dir_ + "/.index.copy.json") << "{";
  auto layout = *ImageLayout::open_or_create(dir_);
  EXPECT_TRUE((*layout.index())->empty());
  // Another's stays what it is: an error.
  EXPECT_FALSE(ImageLayout::open(dir_)->index());
}

TEST_F(ImageLayoutTest, ADamagedDocumentIsReplacedByTheWholeOne) {
  auto layout = *ImageLayout::open_or_create(dir_);
  const std::string path = dir_ + "/blobs/sha256/" + Digest::of("document").hex();
  ASSERT_TRUE(layout.add_document(blob("document"), "document"));
  std::ofstream(path) << "documenT";
  ASSERT_TRUE(layout.add_document(blob("document"), "document"));
  EXPECT_EQ(*layout.read_document(Digest::of("document"), 100), "document");
  ASSERT_TRUE(remove_tree(path));
  ASSERT_TRUE(make_dirs(path + "/in"));
  ASSERT_TRUE(layout.add_document(blob("document"), "document"));
  EXPECT_EQ(*layout.read_document(Digest::of("document"), 100), "document");
}

}  // namespace
}  // namespace locald::oci
