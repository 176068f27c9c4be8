#include "oci/layer/layer_store.h"

#include <gtest/gtest.h>
#include <sys/file.h>

#include <thread>

#include "oci/archive/test_tar.h"
#include "oci/layer/test_tree.h"

namespace locald::oci {
namespace {

using test::snapshot;
using test::StringSource;
using test::TarBuilder;
using test::TempDir;

class LayerStoreTest : public ::testing::Test {
 protected:
  LayerStore open(std::string map_id = "single") {
    auto store = LayerStore::open(dir_ / "layers", IdMap::single, std::move(map_id));
    EXPECT_TRUE(store);
    return std::move(*store);
  }
  static Result<AppliedLayer> add(LayerStore& store, const LayerKey& key, const std::string& tar,
                                  LowerLayers lowers = {}) {
    StringSource source(tar);
    ApplyOptions options;
    options.id_map = IdMap::single;
    return store.add(key, source, "", lowers, options);
  }
  std::size_t leftovers() { return snapshot(dir_ / "layers/.staging").size() - 1; }

  TempDir dir_;
  const std::string tar_ = TarBuilder().dir("d/").file("d/f", "hello").bytes();
  const Digest id_ = Digest::of(tar_);
};

TEST_F(LayerStoreTest, KeepsALayerAndFindsItAgain) {
  auto store = open();
  EXPECT_FALSE(store.has(id_));
  EXPECT_EQ(store.short_path(id_).error().code(), Errc::not_found);
  const auto done = add(store, id_, tar_);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->bytes, tar_.size());
  EXPECT_EQ(leftovers(), 0u);
  const auto again = open();
  EXPECT_TRUE(again.has(id_));
  EXPECT_EQ(snapshot(again.path(id_)).at("d/f"), "file 644 hello");
  const auto link = again.short_path(id_);
  ASSERT_TRUE(link);
  EXPECT_LE(link->size(), 18u);
  EXPECT_EQ(snapshot(again.dir() + "/" + *link + "/.").at("d/f"), "file 644 hello");
  ASSERT_EQ(again.list()->size(), 1u);
  EXPECT_TRUE((*again.list())[0].usable);
}

TEST_F(LayerStoreTest, DoesNotReadALayerThatIsThere) {
  auto store = open();
  ASSERT_TRUE(add(store, id_, tar_));
  StringSource source("nonsense");
  const auto done = store.add(id_, source, "", {}, {.id_map = IdMap::single});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->entries, 2u);
  EXPECT_FALSE(source.drained());
}

TEST_F(LayerStoreTest, RefusesAnotherContentAndLeavesNothing) {
  auto store = open();
  const auto done = add(store, Digest::of("something else"), tar_);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::corrupt);
  const auto cut = add(store, id_, tar_.substr(0, 700));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code(), Errc::corrupt);
  EXPECT_TRUE(store.list()->empty());
  EXPECT_EQ(leftovers(), 0u);
  EXPECT_TRUE(add(store, id_, tar_));  // and the next attempt succeeds
}

TEST_F(LayerStoreTest, TakesALayerOfAnotherMapOrADamagedOneForAbsentAndReplacesIt) {
  auto store = open("100000:65536");
  ASSERT_TRUE(add(store, id_, tar_));
  auto other = open("200000:65536");
  EXPECT_FALSE(other.has(id_));
  EXPECT_FALSE((*other.list())[0].usable);
  ASSERT_TRUE(add(other, id_, tar_));
  EXPECT_TRUE(other.has(id_));
  EXPECT_FALSE(store.has(id_));
  ASSERT_TRUE(write_file_atomic(dir_ / ("layers/" + id_.hex() + "/layer.json"), "{\"format\": 1"));
  EXPECT_FALSE(other.has(id_));
  ASSERT_TRUE(add(other, id_, tar_));
  EXPECT_TRUE(other.has(id_));
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(LayerStoreTest, ClearsWhatACrashLeftButNotWhatIsUnderWay) {
  auto store = open();
  ASSERT_TRUE(make_dirs(dir_ / "layers/.staging/crashed/diff/deep"));
  const UniqueFd busy = std::move(*make_dirs(dir_ / "layers/.staging/busy/diff"));
  const UniqueFd lock(
      ::open((dir_ / "layers/.staging/busy").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  ASSERT_TRUE(make_dirs(dir_ / ("layers/.staging/" + id_.hex() + "." + id_.hex() + "/diff/old")));
  ASSERT_TRUE(add(store, id_, tar_));
  EXPECT_FALSE(exists(dir_ / "layers/.staging/crashed"));
  EXPECT_TRUE(exists(dir_ / "layers/.staging/busy"));
  EXPECT_FALSE(exists(store.path(id_) + "/old"));
}

TEST_F(LayerStoreTest, AppliesALayerOnceForAllWhoWantItAtTheSameTime) {
  std::vector<std::thread> threads;
  std::atomic<unsigned> good = 0;
  std::string big;
  for (int i = 0; i < 2000; ++i) big += "0123456789";
  const std::string tar = TarBuilder().file("f", big).bytes();
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] {
      auto store = open();
      if (add(store, Digest::of(tar), tar)) ++good;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 6u);
  EXPECT_EQ(open().list()->size(), 1u);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(LayerStoreTest, KeepsALayerThatLookedBelowForItsChainAlone) {
  auto store = open();
  const std::string lower_a = TarBuilder().dir("d/", {.mode = 0700}).bytes();
  const std::string lower_b = TarBuilder().dir("real/").symlink("d", "real").bytes();
  const std::string upper = TarBuilder().file("d/f").bytes();
  const auto chain_a = layer_keys({Digest::of(lower_a), Digest::of(upper)});
  const auto chain_b = layer_keys({Digest::of(lower_b), Digest::of(upper)});
  for (const auto* chain : {&chain_a, &chain_b}) {
    ASSERT_TRUE(add(store, (*chain)[0], chain == &chain_a ? lower_a : lower_b));
    EXPECT_FALSE(store.has((*chain)[1]));
    LowerLayers lowers{[&]() -> Result<std::vector<std::string>> {
      return std::vector<std::string>{store.path((*chain)[0])};
    }};
    const auto done = add(store, (*chain)[1], upper, lowers);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_TRUE(done->used_lowers);
    EXPECT_TRUE(store.has((*chain)[1]));
  }
  EXPECT_EQ(snapshot(store.path(chain_a[1])).at("d"), "dir 700");
  EXPECT_EQ(snapshot(store.path(chain_b[1])).at("real/f"), "file 644 ");
  EXPECT_EQ(store.list()->size(), 4u);
  ASSERT_TRUE(store.remove(Digest::of(upper)));
  EXPECT_EQ(store.list()->size(), 2u);
  EXPECT_FALSE(store.has(chain_a[1]));
}

TEST_F(LayerStoreTest, RemovesALayerWithItsLink) {
  auto store = open();
  ASSERT_TRUE(add(store, id_, tar_));
  ASSERT_TRUE(store.remove(id_));
  EXPECT_FALSE(store.has(id_));
  EXPECT_EQ(snapshot(dir_ / "layers").size(), 3u);  // itself, l and .staging
  EXPECT_TRUE(store.remove(id_));
}

TEST_F(LayerStoreTest, GivesLayersOfOneShortNameLongerOnes) {
  auto store = open();
  const std::string taken = dir_ / ("layers/l/" + id_.hex().substr(0, 16));
  ASSERT_EQ(::symlink("../somebody/diff", taken.c_str()), 0);
  ASSERT_TRUE(add(store, id_, tar_));
  EXPECT_EQ(*store.short_path(id_), "l/" + id_.hex().substr(0, 24));
}

TEST(LayerKeys, AreChainIdsOfTheSpec) {
  // image-spec, config.md#layer-chainid: ChainID(L0|L1) = Digest(ChainID(L0) + " " + DiffID(L1)).
  const Digest a = Digest::of("a");
  const Digest b = Digest::of("b");
  const auto keys = layer_keys({a, b});
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0], LayerKey(a));
  EXPECT_EQ(keys[1].chain_id, Digest::of(a.str() + " " + b.str()));
  const auto again = layer_keys({a, b, a, b});
  EXPECT_EQ(again[2], again[0]);
  EXPECT_EQ(again[3], again[1]);
}

}  // namespace
}  // namespace locald::oci
