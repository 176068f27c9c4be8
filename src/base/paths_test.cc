#include "base/paths.h"

#include <gtest/gtest.h>

#include <map>

namespace locald {
namespace {

Paths::Env env(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto it = values.find(name);
    return it == values.end() ? std::nullopt : std::optional(it->second);
  };
}

TEST(Paths, FollowXdg) {
  const auto p = Paths::from_env(
      env({{"HOME", "/home/a"}, {"XDG_RUNTIME_DIR", "/run/user/7"}, {"XDG_DATA_HOME", "/d"}}), 7);
  EXPECT_EQ(p->data(), "/d/locald");
  EXPECT_EQ(p->state(), "/home/a/.local/state/locald");
  EXPECT_EQ(p->server_socket(), "/run/user/7/locald/server.sock");
  EXPECT_FALSE(p->runtime_dir_is_fallback());
}

TEST(Paths, LocaldHomePutsAllUnderOneFolder) {
  const auto p = Paths::from_env(env({{"LOCALD_HOME", "/x"}}), 0);
  EXPECT_EQ(p->images(), "/x/data/images");
  EXPECT_EQ(p->service_log("shop", "db"), "/x/state/services/shop/db/log");
  EXPECT_EQ(p->runc_root(), "/x/run/runc");
  EXPECT_FALSE(Paths::from_env(env({{"LOCALD_HOME", "x"}}), 0));
}

TEST(Paths, RootHasTheSystemsFolders) {
  const auto p = Paths::from_env(env({{"HOME", "/root"}}), 0);
  EXPECT_EQ(p->data(), "/var/lib/locald");
  EXPECT_EQ(p->run(), "/run/locald");
}

TEST(Paths, WithoutRuntimeDirFallBackToTmp) {
  const auto p = Paths::from_env(env({{"HOME", "/h"}}), 54321);
  EXPECT_EQ(p->run(), "/tmp/locald-54321");
  EXPECT_TRUE(p->runtime_dir_is_fallback());
  EXPECT_FALSE(Paths::from_env(env({}), 54321));
}

}  // namespace
}  // namespace locald
