#include "cnb/store/app_store.h"

#include <gtest/gtest.h>

#include "cnb/test_folder.h"

namespace locald::cnb {
namespace {

class Store : public ::testing::Test {
 protected:
  Store()
      : paths_(Paths::from_env(
                   [&](const std::string& n) {
                     return n == "LOCALD_HOME" ? std::optional(home_.path()) : std::nullopt;
                   },
                   1000)
                   .value()),
        store_(paths_, "shop-api-1") {}

  Generation commit(std::uint64_t number, const std::string& image = "") {
    Generation g;
    g.number = number;
    g.map_id = "root";
    g.fingerprint = "f" + std::to_string(number);
    g.image_digest = image;
    std::filesystem::create_directories(store_.generation(number));
    EXPECT_TRUE(store_.commit(g));
    return g;
  }
  TestFolder home_;
  Paths paths_;
  AppStore store_;
};

TEST_F(Store, FindsTheNewestGenerationThatCounts) {
  EXPECT_FALSE(store_.current("root"));
  EXPECT_EQ(store_.next_number(), 1u);
  commit(1);
  commit(9);
  commit(10, "sha256:x");
  EXPECT_EQ(store_.current("root")->number, 10u);
  EXPECT_EQ(store_.newest_hybrid("root")->number, 9u);
  EXPECT_FALSE(store_.current("single")) << "owners on disk mean something else";
  EXPECT_EQ(store_.next_number(), 11u);
}

/// As every version has written it.
TEST_F(Store, ReadsTheRecordOfAnApp) {
  const std::string spec =
      R"({"project":"shop","path":"/shop/api","builder":"b","run_image":"","base_dir":"",)"
      R"("pull":"","env":{},"bindings":{},"host_ca":true,"host_ca_file":"","proxies":{},)"
      R"("exec_env":"","live":["src"],"strict":false,"timeout_ms":60000})";
  const std::string file = store_.dir() + "/app.json";
  std::filesystem::create_directories(store_.dir());
  ASSERT_TRUE(write_file_atomic(
      file, R"({"format":1,"spec":)" + spec + R"(,"last_used":"2026-11-26T10:00:00Z","later":1})"));
  const auto record = store_.record();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->spec.path, "/shop/api");
  EXPECT_EQ(record->spec.live, std::vector<std::string>{"src"});
  EXPECT_EQ(record->last_used, "2026-11-26T10:00:00Z");
  ASSERT_TRUE(store_.touch(record->spec));
  const std::string written = read_file(file).value();
  const std::string begin = R"({"format":1,"spec":)" + spec + R"(,"last_used":")";
  EXPECT_EQ(written.substr(0, begin.size()), begin);
  ASSERT_TRUE(write_file_atomic(file, R"({"format":1,"spec":{"path":"relative"}})"));
  EXPECT_FALSE(store_.record());
}

TEST_F(Store, DoesNotCountWhatMayNotHaveReachedTheDisk) {
  Generation g = commit(1);
  g = commit(2);
  g.boot_id = "another boot";
  ASSERT_TRUE(store_.commit(g));
  EXPECT_EQ(store_.current("root")->number, 1u);
  g.boot_id = read_file("/proc/sys/kernel/random/boot_id").value();
  while (!g.boot_id.empty() && g.boot_id.back() == '\n') g.boot_id.pop_back();
  ASSERT_TRUE(store_.commit(g));
  EXPECT_EQ(store_.current("root")->number, 2u);
  ASSERT_TRUE(store_.mark_synced(2));
  EXPECT_EQ(store_.current("root")->boot_id, "");
}

TEST_F(Store, PassesOverDamagedRecords) {
  commit(1);
  commit(2);
  home_.write("data/cnb/shop-api-1/g/2/generation.json", "{\"format\":1,");
  std::filesystem::create_directories(store_.generation(3));  // a build that was cut short
  EXPECT_EQ(store_.current("root")->number, 1u);
  EXPECT_EQ(store_.next_number(), 4u) << "its number is used up";
}

TEST_F(Store, WritesDownWhatAnAppIsMadeOfButNoSecrets) {
  AppSpec spec;
  spec.project = "shop";
  spec.path = "/p/api";
  spec.env = {{"TOKEN", "secret"}};
  spec.proxies = {{"HTTP_PROXY", "http://u:secret@p"}};
  ASSERT_TRUE(store_.touch(spec));
  EXPECT_EQ(home_.read("data/cnb/shop-api-1/app.json").find("secret"), std::string::npos);
  EXPECT_EQ(store_.record()->spec.path, "/p/api");
  EXPECT_EQ(AppStore::list(paths_), std::vector<std::string>{"shop-api-1"});
}

TEST(AppSpec, IsNamedByProjectFolderAndBuilder) {
  AppSpec a;
  a.project = "shop";
  a.path = "/home/u/My App";
  a.builder = "b";
  EXPECT_EQ(a.key().substr(0, 12), "shop-my-app-");
  AppSpec b = a;
  b.env["X"] = "1";
  b.strict = true;
  EXPECT_EQ(a.key(), b.key()) << "one cache, whatever is asked of it";
  b.builder = "c";
  EXPECT_NE(a.key(), b.key());
  b = a;
  b.path += "2";
  EXPECT_NE(a.key(), b.key());
  b = a;
  b.variant = "web/worker";
  EXPECT_EQ(b.key().substr(0, 23), "shop-my-app-web-worker-");
  AppSpec c = b;
  c.variant = "web-worker";
  EXPECT_NE(b.key(), c.key());
  EXPECT_EQ(a.key(), "shop-my-app-81c67e5d") << "of earlier versions, whose caches count";
  EXPECT_FALSE(a.to_json().contains("variant"));
}

TEST(AppSpec, SurvivesBeingWrittenDown) {
  AppSpec a;
  a.project = "shop";
  a.path = "/p";
  a.builder = "b";
  a.env = {{"A", "1"}};
  a.bindings = {{"ca", "/c"}};
  a.host_ca = false;
  a.live = {"src"};
  a.strict = true;
  a.variant = "api";
  a.timeout = std::chrono::minutes(3);
  EXPECT_EQ(AppSpec::from_json(a.to_json()).value(), a);
  EXPECT_FALSE(AppSpec::from_json(Json::object({{"path", "relative"}})));
}

TEST(Generation, SurvivesBeingWrittenDown) {
  Generation g;
  g.number = 3;
  g.fingerprint = "f";
  g.labels = {{"k", "v"}};
  g.slices = {{"a", "b"}, {}};
  g.processes = {{.type = "web", .command = {"x"}, .has_args = true, .direct = false}};
  g.buildpacks = {{.id = "t/a",
                   .version = "1",
                   .layers = {{.name = "l", .launch = true, .data = Json(1), .tree = "t1"}},
                   .store = Json::object({{"n", 1}})}};
  g.times.phases = {{"detect", 5}};
  const Json written = g.to_json();
  EXPECT_EQ(Generation::from_json(written).value().to_json(), written);
  EXPECT_FALSE(Generation::from_json(Json::object({{"format", 2}})));
  EXPECT_FALSE(Generation::from_json(Json::object({{"format", 1}})));
}

}  // namespace
}  // namespace locald::cnb
