#include "cnb/build/housekeeping.h"

#include <gtest/gtest.h>

#include <future>

#include "cnb/export/published_image.h"
#include "cnb/store/app_lock.h"
#include "cnb/test_folder.h"
#include "oci/spec/media_type.h"

namespace locald::cnb {
namespace {

using namespace std::chrono_literals;

class Housekeeping : public ::testing::Test {
 protected:
  Housekeeping()
      : environment_(
            {.paths = Paths::from_env(
                          [&](const std::string& n) {
                            return n == "LOCALD_HOME" ? std::optional(home_.path()) : std::nullopt;
                          },
                          1000)
                          .value(),
             .server_binary = "",
             .run_job = [this](const Json& job, const std::function<void(const Json&)>&,
                               const std::stop_token&, std::chrono::milliseconds) -> Result<Json> {
               if (job["op"].as_string() == "cnb_usage" && while_listed_) while_listed_();
               return Json::object({{"bytes", 1}});
             }}),
        store_(environment_.paths(), "shop-api-1") {
    spec_.project = "shop";
    spec_.path = home_.path();
    home_.write(
        "data/cnb/shop-api-1/app.json",
        Json::object(
            {{"format", 1}, {"spec", spec_.to_json()}, {"last_used", "2020-01-01T00:00:00Z"}})
            .dump());
  }

  /// An image of that name, which is nothing but its documents.
  void add_image(const std::string& name) {
    oci::ImageStore& images = **environment_.images();
    const std::string config = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers",)"
                               R"("diff_ids":[]},"config":{}})";
    const oci::ImageManifest manifest{
        std::string(oci::kOciManifest),
        {std::string(oci::kOciConfig), oci::Digest::of(config), config.size()}};
    const std::string text = manifest.to_json().dump();
    const oci::Descriptor described{std::string(oci::kOciManifest), oci::Digest::of(text),
                                    text.size()};
    ASSERT_TRUE(images.layout().add_document(manifest.config, config));
    ASSERT_TRUE(images.layout().add_document(described, text));
    ASSERT_TRUE(images.tag(described.digest, oci::ImageReference::parse(name).value()));
  }
  std::vector<std::string> images() {
    std::vector<std::string> names;
    const auto list = (*environment_.images())->list().value();
    for (const oci::StoredImage& image : list) names.push_back(image.name);
    return names;
  }

  TestFolder home_;
  std::function<void()> while_listed_;
  builder::Environment environment_;
  AppStore store_;
  AppSpec spec_;
};

TEST_F(Housekeeping, PrunesWhatNobodyHasAskedFor) {
  const auto removed = prune_caches(environment_, 24h, {});
  ASSERT_TRUE(removed) << removed.error().text();
  ASSERT_EQ(removed->size(), 1u);
  EXPECT_EQ((*removed)[0].app, "shop-api-1");
  EXPECT_TRUE(AppStore::list(environment_.paths()).empty());
}

TEST_F(Housekeeping, LeavesAloneWhatIsAskedForMeanwhile) {
  while_listed_ = [this] { ASSERT_TRUE(store_.touch(spec_)); };
  const auto removed = prune_caches(environment_, 24h, {});
  ASSERT_TRUE(removed) << removed.error().text();
  EXPECT_TRUE(removed->empty());
  EXPECT_EQ(AppStore::list(environment_.paths()).size(), 1u);
}

TEST_F(Housekeeping, LeavesAloneWhatWasBuiltWhileItWaited) {
  std::future<Result<std::vector<CacheEntry>>> pruned;
  {
    const auto build = AppLock::take(environment_, store_.app(), {});
    ASSERT_TRUE(build);
    std::promise<void> listed;
    while_listed_ = [&] { listed.set_value(); };
    pruned = std::async(std::launch::async, [&] { return prune_caches(environment_, 0ms, {}); });
    listed.get_future().wait();
    EXPECT_EQ(pruned.wait_for(100ms), std::future_status::timeout);
    Generation made;
    made.number = store_.next_number();
    ASSERT_TRUE(make_dirs(store_.generation(made.number)));
    ASSERT_TRUE(store_.commit(made));
  }
  const auto removed = pruned.get();
  ASSERT_TRUE(removed) << removed.error().text();
  EXPECT_TRUE(removed->empty()) << "a container is about to be started of it";
}

TEST_F(Housekeeping, WaitsForABuildUntilItIsCalledOff) {
  std::stop_source stop;
  std::future<Result<void>> removed;
  std::future<Result<std::vector<CacheEntry>>> pruned;
  {
    const auto build = AppLock::take(environment_, store_.app(), {});
    ASSERT_TRUE(build);
    removed = std::async(std::launch::async, [&] {
      return remove_cache(environment_, store_.app(), stop.get_token());
    });
    pruned = std::async(std::launch::async,
                        [&] { return prune_caches(environment_, 24h, stop.get_token()); });
    EXPECT_EQ(removed.wait_for(20ms), std::future_status::timeout);
    EXPECT_EQ(pruned.wait_for(20ms), std::future_status::timeout);
    stop.request_stop();
    EXPECT_EQ(removed.wait_for(5s), std::future_status::ready);
    EXPECT_EQ(pruned.wait_for(5s), std::future_status::ready);
  }
  const auto first = removed.get();
  const auto second = pruned.get();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code(), Errc::cancelled);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::cancelled);
  EXPECT_EQ(AppStore::list(environment_.paths()).size(), 1u);
}

TEST_F(Housekeeping, TakesTheAppsNameOutOfTheImageStore) {
  add_image(app_image_name("shop-api-1"));
  add_image("mine:1");
  ASSERT_EQ(images().size(), 2u);
  const auto removed = remove_cache(environment_, "shop-api-1", {});
  ASSERT_TRUE(removed) << removed.error().text();
  EXPECT_EQ(images(), std::vector<std::string>{"docker.io/library/mine:1"})
      << "what a person has named is theirs";
}

}  // namespace
}  // namespace locald::cnb
