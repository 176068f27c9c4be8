#include "oci/transfer/pull.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "oci/store/test_image.h"

namespace locald::oci {
namespace {

using test::member;
using test::tar;
using test::TestImage;

#define NEEDS_ROOT() \
  if (::geteuid() != 0) GTEST_SKIP() << "needs root (owners and trusted.* attributes of layers)"

class PullTest : public ::testing::Test {
 protected:
  PullTest() : dir_(::testing::TempDir() + "locald-pull-" + random_hex(6)) {
    image_.layers = {tar({member("etc/", ""), member("etc/a", "one"), member("etc/b", "two")}),
                     tar({member("etc/", ""), member("etc/.wh.b", ""), member("etc/c", "three")})};
  }
  ~PullTest() override { (void)remove_tree(dir_); }

  void SetUp() override {
    ASSERT_TRUE(make_dirs(dir_));
    open();
  }
  void open() {
    store_.emplace(*ImageStore::open(dir_ + "/images"));
    layers_.emplace(*LayerStore::open(dir_ + "/layers", IdMap::root, "root"));
  }
  ImageReference reference() const { return *ImageReference::parse("oci:" + dir_ + "/source:app"); }
  Result<PullResult> pull_it(PullPolicy policy = PullPolicy::missing) {
    PullOptions options;
    options.policy = policy;
    options.progress = [this](const PullProgress& p) { phases_.push_back(p.phase); };
    return pull(reference(), *store_, *layers_, options);
  }
  std::string blob_file(const std::string& home, const std::string& blob) const {
    return dir_ + home + "/blobs/sha256/" + Digest::of(blob).hex();
  }
  bool ingest_is_empty() const {
    bool empty = true;
    const auto fd = make_dirs(dir_ + "/images/ingest");
    (void)list_dir(fd->get(), [&empty](const std::string&, unsigned char) -> Result<void> {
      empty = false;
      return {};
    });
    return empty;
  }

  std::string dir_;
  TestImage image_;
  std::optional<ImageStore> store_;
  std::optional<LayerStore> layers_;
  std::vector<PullProgress::Phase> phases_;
};

TEST_F(PullTest, MakesTheImagePresentAndThenAsksNobody) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  auto first = pull_it();
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_TRUE(first->contacted);
  EXPECT_EQ(first->applied_layers, 2u);
  EXPECT_EQ(first->image.config.cmd, std::vector<std::string>{"sh"});
  EXPECT_EQ(phases_.back(), PullProgress::Phase::finished);
  EXPECT_TRUE(exists(layers_->path(first->image.diff_ids[1]) + "/etc/c"));
  EXPECT_TRUE(ingest_is_empty());

  open();
  auto second = pull_it();
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_FALSE(second->contacted);
  EXPECT_EQ(second->image.manifest_digest, first->image.manifest_digest);
}

TEST_F(PullTest, AChangedSourceIsNoticedUnderMissingAndAlways) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  ASSERT_TRUE(pull_it());
  image_.layers.push_back(tar({member("new", "x")}));
  image_.write(dir_ + "/source", "app");
  auto again = pull_it();
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->applied_layers, 1u);
  EXPECT_EQ(again->image.diff_ids.size(), 3u);
  auto always = pull_it(PullPolicy::always);
  ASSERT_TRUE(always);
  EXPECT_TRUE(always->contacted);
  EXPECT_EQ(always->applied_layers, 0u);
}

TEST_F(PullTest, NeverAsksNobodyEvenWhenItIsMissing) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  EXPECT_EQ(pull_it(PullPolicy::never).error().code(), Errc::not_found);
  ASSERT_TRUE(pull_it());
  EXPECT_TRUE(pull_it(PullPolicy::never));
}

TEST_F(PullTest, LostLayersAreMadeFromTheBlobsWithoutTheSource) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  ASSERT_TRUE(pull_it());
  ASSERT_TRUE(remove_tree(dir_ + "/layers"));
  ASSERT_TRUE(remove_tree(dir_ + "/source"));
  open();
  auto again = pull_it(PullPolicy::never);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_FALSE(again->contacted);
  EXPECT_EQ(again->applied_layers, 2u);
}

TEST_F(PullTest, ADamagedBlobIsFetchedAgainWhenItsLayerIsLost) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  ASSERT_TRUE(pull_it());
  std::string bent = image_.layers[0];
  bent[600] ^= 1;
  std::ofstream(blob_file("/images", image_.layers[0]), std::ios::binary) << bent;
  ASSERT_TRUE(remove_tree(dir_ + "/layers"));
  open();
  EXPECT_EQ(store_->check()->size(), 1u);
  auto again = pull_it();
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_TRUE(again->contacted);
  EXPECT_TRUE(store_->check()->empty());
}

TEST_F(PullTest, AWrongBlobLeavesNothing) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  for (const std::string& bent : {std::string("short"), image_.layers[0] + "more",
                                  std::string(image_.layers[0].size(), 'x')}) {
    std::ofstream(blob_file("/source", image_.layers[0]), std::ios::binary) << bent;
    auto failed = pull_it();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), Errc::corrupt) << failed.error().text();
    EXPECT_NE(failed.error().message().find(Digest::of(image_.layers[0]).short_hex()),
              std::string::npos)
        << failed.error().message();
    EXPECT_TRUE(store_->list()->empty());
    EXPECT_TRUE(ingest_is_empty());
    EXPECT_FALSE(layers_->has(Digest::of(image_.layers[0])));
  }
  image_.write(dir_ + "/source", "app");  // mended: now it goes
  EXPECT_TRUE(pull_it());
}

TEST_F(PullTest, ALayerThatIsNotItsDiffIdIsRefused) {
  NEEDS_ROOT();
  image_.diff_ids = {"sha256:" + std::string(64, '1')};
  image_.write(dir_ + "/source", "app");
  auto failed = pull_it();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), Errc::corrupt);
  EXPECT_NE(failed.error().message().find("1111"), std::string::npos) << failed.error().message();
  EXPECT_TRUE(store_->list()->empty());
}

TEST_F(PullTest, AnotherArchitectureIsNamed) {
  image_.platform = {"linux", "s390x", ""};
  image_.write(dir_ + "/source", "app");
  auto failed = pull_it();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), Errc::unsupported);
  EXPECT_NE(failed.error().message().find("the image is linux/s390x, this host is linux/"),
            std::string::npos)
      << failed.error().message();
}

TEST_F(PullTest, TheSameLayerTwiceIsOneLayer) {
  NEEDS_ROOT();
  image_.layers.push_back(image_.layers[0]);
  image_.write(dir_ + "/source", "app");
  auto result = pull_it();
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->applied_layers, 2u);
  EXPECT_EQ(result->image.diff_ids.size(), 3u);
}

TEST_F(PullTest, WhatAnEarlierAttemptLeftIsUsedOrThrownAway) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  const std::string ingest = dir_ + "/images/ingest/" + Digest::of(image_.layers[0]).hex();
  std::ofstream(ingest, std::ios::binary) << image_.layers[0].substr(0, 700);
  std::ofstream(dir_ + "/images/ingest/" + Digest::of(image_.layers[1]).hex(), std::ios::binary)
      << "garbage of another";
  auto result = pull_it();
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(store_->check()->empty());
  EXPECT_TRUE(ingest_is_empty());
}

TEST_F(PullTest, TwoAtOnceBothSucceed) {
  NEEDS_ROOT();
  for (int i = 0; i < 6; ++i)
    image_.layers.push_back(tar({member("f" + std::to_string(i), std::string(300000, 'x'))}));
  image_.write(dir_ + "/source", "app");
  auto run = [this] {
    auto store = *ImageStore::open(dir_ + "/images");
    auto layers = *LayerStore::open(dir_ + "/layers", IdMap::root, "root");
    auto result = pull(reference(), store, layers, {});
    EXPECT_TRUE(result) << result.error().text();
  };
  std::thread other(run);
  run();
  other.join();
  EXPECT_TRUE(store_->check()->empty());
  EXPECT_EQ(store_->list()->size(), 1u);
}

TEST_F(PullTest, CanBeCancelled) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  std::stop_source stop;
  stop.request_stop();
  PullOptions options;
  options.stop = stop.get_token();
  EXPECT_EQ(pull(reference(), *store_, *layers_, options).error().code(), Errc::cancelled);
  EXPECT_TRUE(store_->list()->empty());
}

TEST_F(PullTest, RemovingTheNameCollectsWhatNothingElseNames) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  auto first = pull_it();
  ASSERT_TRUE(first);
  TestImage second = image_;
  second.layers[1] = tar({member("other", "x")});
  second.write(dir_ + "/source2", "app");
  auto other = *ImageReference::parse("oci:" + dir_ + "/source2:app");
  ASSERT_TRUE(pull(other, *store_, *layers_, {}));
  auto removed = store_->remove(other.name());
  ASSERT_TRUE(removed) << removed.error().text();
  EXPECT_EQ(removed->names, std::vector<std::string>{other.name()});
  EXPECT_EQ(removed->unused_layers, std::vector<Digest>{Digest::of(second.layers[1])});
  EXPECT_TRUE(store_->check()->empty());
  EXPECT_FALSE(exists(blob_file("/images", second.layers[1])));
  EXPECT_TRUE(exists(blob_file("/images", image_.layers[0])));
  EXPECT_EQ(store_->remove(other.name()).error().code(), Errc::not_found);
}

TEST_F(PullTest, AnImageIsFoundByNameDigestAndId) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  auto image = pull_it()->image;
  ASSERT_TRUE(store_->tag(image.manifest_digest, *ImageReference::parse("app:1")));
  EXPECT_EQ(store_->list()->size(), 2u);
  for (const std::string& text : std::vector<std::string>{
           "app:1", "docker.io/library/app:1", "app@" + image.manifest_digest.str(),
           image.config_digest.short_hex(), image.config_digest.str(), image.manifest_digest.hex(),
           image.manifest_digest.str()}) {
    auto found = store_->find(std::string_view(text));
    ASSERT_TRUE(found) << text << ": " << found.error().text();
    EXPECT_EQ(found->config_digest, image.config_digest);
  }
  EXPECT_EQ(store_->find(std::string_view("app:2")).error().code(), Errc::not_found);
  EXPECT_EQ(store_->find(std::string_view("0123456789ab")).error().code(), Errc::not_found);
  auto removed = store_->remove(image.config_digest.short_hex());
  ASSERT_TRUE(removed) << removed.error().text();
  EXPECT_EQ(removed->names.size(), 2u);
  EXPECT_TRUE(store_->list()->empty());
}

TEST_F(PullTest, UnpackWritesTheFlatFormAndKeepsNoCopy) {
  NEEDS_ROOT();
  image_.write(dir_ + "/source", "app");
  auto unpacked = unpack(reference(), *store_, *layers_, dir_ + "/out", {});
  ASSERT_TRUE(unpacked) << unpacked.error().text();
  EXPECT_TRUE(exists(dir_ + "/out/etc/a"));
  EXPECT_FALSE(exists(dir_ + "/out/etc/b"));
  EXPECT_TRUE(exists(dir_ + "/out/etc/c"));
  EXPECT_TRUE(store_->list()->empty());
  EXPECT_EQ(unpack(reference(), *store_, *layers_, dir_ + "/out", {}).error().code(),
            Errc::already_exists);
  EXPECT_TRUE(exists(dir_ + "/out/etc/a"));

  std::ofstream(blob_file("/source", image_.layers[1]), std::ios::binary) << "short";
  EXPECT_EQ(unpack(reference(), *store_, *layers_, dir_ + "/out2", {}).error().code(),
            Errc::corrupt);
  EXPECT_FALSE(exists(dir_ + "/out2"));
}

TEST_F(PullTest, ArchivesAreReadInPlace) {
  NEEDS_ROOT();
  std::vector<std::string> members;
  for (const std::string& blob : std::vector<std::string>{image_.layers[0], image_.layers[1],
                                                          image_.config(), image_.manifest()})
    members.push_back(member("blobs/sha256/" + Digest::of(blob).hex(), blob));
  const std::string manifest = image_.manifest();
  members.push_back(member(
      "index.json",
      R"({"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
          Digest::of(manifest).str() + R"(","size":)" + std::to_string(manifest.size()) + "}]}"));
  members.push_back(member("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  std::ofstream(dir_ + "/oci.tar", std::ios::binary) << tar(members);
  auto oci =
      pull(*ImageReference::parse("oci-archive:" + dir_ + "/oci.tar"), *store_, *layers_, {});
  ASSERT_TRUE(oci) << oci.error().text();
  EXPECT_EQ(oci->applied_layers, 2u);

  // As pack writes its packages: absolute names, and no architecture, since it is all scripts.
  TestImage scripts = image_;
  scripts.platform.architecture.clear();
  const std::string index = scripts.manifest();
  std::vector<std::string> absolute = {
      member("/blobs/", ""), member("/oci-layout", R"({"imageLayoutVersion":"1.0.0"})"),
      member(
          "/index.json",
          R"({"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
              Digest::of(index).str() + R"(","size":)" + std::to_string(index.size()) + "}]}")};
  for (const std::string& blob :
       std::vector<std::string>{scripts.layers[0], scripts.layers[1], scripts.config(), index})
    absolute.push_back(member("/blobs/sha256/" + Digest::of(blob).hex(), blob));
  std::ofstream(dir_ + "/pack.cnb", std::ios::binary) << tar(absolute);
  auto packed =
      pull(*ImageReference::parse("oci-archive:" + dir_ + "/pack.cnb"), *store_, *layers_, {});
  ASSERT_TRUE(packed) << packed.error().text();
  EXPECT_EQ(packed->image.config.platform.architecture, "");

  // As `docker save` writes it: the second layer is a link to the first one's file.
  TestImage same = image_;
  same.layers[1] = same.layers[0];
  std::ofstream(dir_ + "/docker.tar", std::ios::binary) << tar(
      {member("one/layer.tar", same.layers[0]),
       member("two/layer.tar", "", '2', "../one/layer.tar"), member("config.json", same.config()),
       member(
           "manifest.json",
           R"([{"Config":"config.json","RepoTags":["app:1"],"Layers":["one/layer.tar","two/layer.tar"]}])")});
  for (const char* name : {"", ":app:1", ":docker.io/library/app:1"}) {
    auto docker =
        pull(*ImageReference::parse("docker-archive:" + dir_ + "/docker.tar" + std::string(name)),
             *store_, *layers_, {});
    ASSERT_TRUE(docker) << docker.error().text();
    EXPECT_EQ(docker->image.diff_ids[1], Digest::of(image_.layers[0]));
  }
  EXPECT_EQ(pull(*ImageReference::parse("docker-archive:" + dir_ + "/docker.tar:no"), *store_,
                 *layers_, {})
                .error()
                .code(),
            Errc::not_found);
  std::ofstream(dir_ + "/cut.tar", std::ios::binary)
      << member("blobs/x", std::string(5000, 'x')).substr(0, 2000);
  EXPECT_EQ(pull(*ImageReference::parse("oci-archive:" + dir_ + "/cut.tar"), *store_, *layers_, {})
                .error()
                .code(),
            Errc::corrupt);
  std::ofstream(dir_ + "/z.tar", std::ios::binary) << "\x1f\x8b";
  EXPECT_EQ(pull(*ImageReference::parse("oci-archive:" + dir_ + "/z.tar"), *store_, *layers_, {})
                .error()
                .code(),
            Errc::unsupported);
}

}  // namespace
}  // namespace locald::oci
