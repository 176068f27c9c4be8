#include "oci/transfer/image_export.h"
#include "oci/store/blob_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

#include "base/sys/sys.h"
#include "oci/layer/layer_writer.h"
#include "oci/layer/test_tree.h"
#include "oci/store/blob_writer.h"
#include "oci/store/test_image.h"
#include "oci/transfer/image_origin.h"
#include "oci/transfer/resolve.h"

namespace locald::oci {
namespace {

std::string noise(std::size_t size) {
  std::string out(size, '\0');
  std::uint32_t x = 7;
  for (char& c : out) c = static_cast<char>((x = x * 1664525u + 1013904223u) >> 24);
  return out;
}

struct World {
  World() : store(*ImageStore::open(dir / "images")) {
    made.layers = {test::tar({test::member("a", noise(300'000))}),
                   test::tar({test::member("b", "small")})};
    for (const std::string& text : {made.layers[0], made.layers[1], made.config(), made.manifest()})
      EXPECT_TRUE(store.layout().add_document({"", Digest::of(text), text.size()}, text));
    EXPECT_TRUE(store.tag(Digest::of(made.manifest()), *ImageReference::parse("test/image:1")));
    image.emplace(*store.find(*ImageReference::parse("test/image:1")));
  }
  Result<void> out(const std::string& target, const ExportOptions& options = {}) const {
    return export_image(store.layout(), *image, *ImageReference::parse(target), judge(), options);
  }
  PathJudge judge() const {
    return {Paths::from_env(
                [this](const std::string& n) {
                  return n == "LOCALD_HOME" ? std::optional(dir / "home") : std::nullopt;
                },
                1000)
                .value(),
            shared};
  }
  std::vector<SharedFolder> shared;
  /// What reads images reads it, every blob.
  void expect_readable(const std::string& target) const {
    const auto origin = open_origin(*ImageReference::parse(target), {});
    ASSERT_TRUE(origin) << origin.error().text();
    const auto root = (*origin)->root();
    ASSERT_TRUE(root) << root.error().text();
    EXPECT_EQ(root->bytes, made.manifest());
    std::vector<Descriptor> blobs = image->manifest.layers;
    blobs.push_back(image->manifest.config);
    for (const Descriptor& blob : blobs) {
      auto source = (*origin)->blob(blob, 0);
      ASSERT_TRUE(source) << source.error().text();
      auto verified = verified_source(std::move(*source), blob);
      auto chunk = verified->read();
      while (chunk && !chunk->empty()) chunk = verified->read();
      EXPECT_TRUE(chunk) << chunk.error().text();
    }
  }

  test::TempDir dir;
  ImageStore store;
  test::TestImage made;
  std::optional<StoredImage> image;
};

mode_t mode_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777u : 0;
}

TEST(ImageExport, MakesALayoutThatEverybodyMayRead) {
  World world;
  const mode_t before = ::umask(077);
  const auto done = world.out("oci:" + world.dir / "new:v1");
  ::umask(before);
  ASSERT_TRUE(done) << done.error().text();
  world.expect_readable("oci:" + world.dir / "new:v1");
  for (const char* folder : {"new", "new/blobs", "new/blobs/sha256"})
    EXPECT_EQ(mode_of(world.dir / folder), 0755u) << folder;
  for (const std::string& file : {std::string("new/oci-layout"), std::string("new/index.json"),
                                  "new/blobs/sha256/" + world.image->manifest_digest.hex()})
    EXPECT_EQ(mode_of(world.dir / file), 0644u) << file;
  EXPECT_EQ(test::snapshot(world.dir / "new").size(), 1u + 2 + 2 + 4);
}

TEST(ImageExport, WithoutANameItIsLatest) {
  World world;
  ASSERT_TRUE(world.out("oci:" + world.dir / "new"));
  world.expect_readable("oci:" + world.dir / "new:latest");
  ASSERT_TRUE(world.out("oci-archive:" + world.dir / "new.tar"));
  world.expect_readable("oci-archive:" + world.dir / "new.tar:latest");
}

TEST(ImageExport, AddsToALayoutAndLeavesWhatItDoesNotKnow) {
  World world;
  test::TestImage other;
  other.layers = {test::tar({test::member("other", "x")})};
  other.write(world.dir / "there", "other");
  const std::string index = world.dir / "there/index.json";
  std::string text = *read_file(index);
  text.insert(text.size() - 1, R"(,"annotations":{"mine":"1"},"artifactType":"x/y")");
  std::ofstream(index) << text;
  ASSERT_TRUE(world.out("oci:" + world.dir / "there:v1"));
  ASSERT_TRUE(world.out("oci:" + world.dir / "there:v2"));
  ASSERT_TRUE(world.out("oci:" + world.dir / "there:v1"));
  world.expect_readable("oci:" + world.dir / "there:v1");
  world.expect_readable("oci:" + world.dir / "there:v2");
  const Json document = *Json::parse(*read_file(index));
  EXPECT_EQ(document["manifests"].as_array().size(), 3u);
  EXPECT_EQ(document["annotations"]["mine"].as_string(), "1");
  EXPECT_EQ(document["artifactType"].as_string(), "x/y");
  EXPECT_TRUE(open_origin(*ImageReference::parse("oci:" + world.dir / "there:other"), {}));
}

TEST(ImageExport, FillsAnEmptyFolderAndRefusesAFullOne) {
  World world;
  world.dir.make("empty");
  ASSERT_TRUE(world.out("oci:" + world.dir / "empty:1"));
  world.expect_readable("oci:" + world.dir / "empty:1");
  world.dir.make("full");
  ASSERT_TRUE(write_file_atomic(world.dir / "full/file", "mine"));
  const auto refused = world.out("oci:" + world.dir / "full:1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::invalid_input) << refused.error().text();
  EXPECT_EQ(test::snapshot(world.dir / "full").size(), 2u);
  EXPECT_EQ(world.out("oci:" + world.dir / "full/file:1").error().code(), Errc::invalid_input);
  EXPECT_FALSE(world.out("oci:" + world.dir / "no/such/folder:1"));
  EXPECT_EQ(world.out("docker-archive:" + world.dir / "x:1").error().code(), Errc::invalid_input);
  EXPECT_EQ(world.out("registry.example/x:1").error().code(), Errc::invalid_input);
}

TEST(ImageExport, ReplacesAnArchiveInOneStep) {
  World world;
  ASSERT_TRUE(write_file_atomic(world.dir / "a.tar", "old"));
  ASSERT_TRUE(world.out("oci-archive:" + world.dir / "a.tar:v1"));
  world.expect_readable("oci-archive:" + world.dir / "a.tar:v1");
  EXPECT_EQ(mode_of(world.dir / "a.tar"), 0644u);
}

TEST(ImageExport, ADamagedBlobLeavesNothingBehind) {
  World world;
  const std::string blob =
      world.dir / ("images/blobs/sha256/" + world.image->manifest.layers[1].digest.hex());
  std::fstream(blob, std::ios::in | std::ios::out | std::ios::binary).seekp(700).put('!');
  test::TestImage other;
  other.layers = {test::tar({test::member("other", "x")})};
  other.write(world.dir / "there", "other");
  world.dir.make("empty");
  ASSERT_TRUE(write_file_atomic(world.dir / "a.tar", "old"));
  const auto before = test::snapshot(world.dir.path(), true);
  for (const char* target :
       {"oci:%new", "oci:%there", "oci:%empty", "oci-archive:%a.tar", "oci-archive:%b.tar"}) {
    std::string text = target;
    text.replace(text.find('%'), 1, world.dir.path() + "/");
    const auto done = world.out(text);
    ASSERT_FALSE(done) << text;
    EXPECT_EQ(done.error().code(), Errc::corrupt) << done.error().text();
  }
  // Times of the folders that were written to have changed, and nothing else.
  const auto names = [](const auto& tree) {
    std::vector<std::string> out;
    for (const auto& [name, what] : tree) out.push_back(name);
    return out;
  };
  EXPECT_EQ(names(test::snapshot(world.dir.path(), true)), names(before));
  EXPECT_EQ(*read_file(world.dir / "a.tar"), "old");
}

TEST(ImageExport, CanBeCancelled) {
  World world;
  std::stop_source stop;
  const auto cancelled =
      world.out("oci:" + world.dir / "new:1",
                {.stop = stop.get_token(),
                 .progress = [&](std::uint64_t, std::uint64_t) { stop.request_stop(); }});
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code(), Errc::cancelled);
  EXPECT_FALSE(exists(world.dir / "new"));
}

/// A folder on a file system of its own, of so many bytes.
class SmallDisk {
 public:
  SmallDisk(const test::TempDir& dir, const std::string& size) : path_(dir.make("small")) {
    mounted_ = ::mount("small", path_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool mounted_;
};

TEST(ImageExport, AFullDiskLeavesNothingBehind) {
  World world;
  const SmallDisk disk(world.dir, "200k");
  if (!disk.mounted()) GTEST_SKIP() << "needs to mount a tmpfs (root)";
  ASSERT_EQ(::mkdir((disk.path() + "/empty").c_str(), 0755), 0);
  for (const char* target : {"oci:%new", "oci:%empty", "oci-archive:%a.tar"}) {
    std::string text = target;
    text.replace(text.find('%'), 1, disk.path() + "/");
    const auto done = world.out(text);
    ASSERT_FALSE(done) << text;
    EXPECT_EQ(done.error().code(), Errc::no_space) << done.error().text();
    EXPECT_NE(done.error().hint(), "");
    EXPECT_EQ(test::snapshot(disk.path()).size(), 2u) << text;
  }
}

TEST(LayerWriter, AFullDiskLeavesNothingBehind) {
  const test::TempDir dir;
  const SmallDisk disk(dir, "1m");
  if (!disk.mounted()) GTEST_SKIP() << "needs to mount a tmpfs (root)";
  const auto layout = *ImageLayout::open_or_create(disk.path() + "/images");
  const auto before = test::snapshot(disk.path());
  {
    const auto writer = *LayerWriter::into(layout, {});
    const std::string content = noise(4'000'000);
    Result<void> written;
    for (int i = 0; i < 10 && written; ++i)
      written = writer->write(std::as_bytes(std::span(content)));
    if (written) written = Error(std::move(*writer).finish().error());
    EXPECT_EQ(written.error().code(), Errc::no_space) << written.error().text();
  }
  EXPECT_EQ(test::snapshot(disk.path()), before);
}

}  // namespace
}  // namespace locald::oci
