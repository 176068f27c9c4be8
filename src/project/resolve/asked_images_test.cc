#include "project/resolve/asked_images.h"

#include <gtest/gtest.h>

#include "project/network_check.h"
#include "project/project_check.h"
#include "project/toml/toml_front.h"

namespace locald::project {
namespace {

/// "service: image" of each.
std::vector<std::string> unknown(const std::string& text, bool host = false) {
  ParsedProject parsed = parse_project_toml(text, "/shop/locald.toml");
  decide_networks(parsed.spec, host ? NetworkUse::Mode::host : NetworkUse::Mode::project);
  check_project(parsed.spec, parsed.problems);
  EXPECT_EQ(describe(parsed.problems), "");
  const UserContext user{{{"TAG", "7"}}, 022, {}};
  const std::map<std::string, int> ports;
  const Paths paths =
      Paths::from_env(
          [](const std::string& name) {
            return name == "LOCALD_HOME" ? std::optional(std::string("/none")) : std::nullopt;
          },
          1000)
          .value();
  std::vector<std::string> out;
  for (const AskedImage& each : asked_images({parsed.spec, "shop", user, ports, paths, {}}))
    out.push_back(each.service + ": " + each.image);
  return out;
}

const std::string kRedis = "[services.cache]\ntype='container'\nimage='redis:${TAG}'\n";
using Found = std::vector<std::string>;

TEST(UnknownPorts, AreAskedForWhereSomethingFollowsFromThem) {
  EXPECT_EQ(unknown(kRedis + "port=6379\n"), Found{"cache: redis:7"});
  EXPECT_EQ(unknown(kRedis + "port='auto'\n"), Found{"cache: redis:7"});
  EXPECT_EQ(unknown(kRedis + "health={tcp=true}\n"), Found{"cache: redis:7"});
  EXPECT_EQ(unknown(kRedis + "health='/healthz'\n"), Found{"cache: redis:7"});
  EXPECT_EQ(unknown(kRedis + "[services.web]\ncommand='x'\n"
                             "env={R='${services.cache.host}:${services.cache.port}'}\n"),
            Found{"cache: redis:7"});
}

TEST(UnknownPorts, NothingIsAskedWhereTheFileTellsOrNobodyCares) {
  EXPECT_EQ(unknown(kRedis), Found{});
  EXPECT_EQ(unknown(kRedis + "port=6379\n", /*host=*/true), Found{});
  EXPECT_EQ(unknown(kRedis + "port=6379\ncontainer_port=6379\n"), Found{});
  EXPECT_EQ(unknown(kRedis + "ports=['6379:6379']\nhealth={tcp=true}\n"), Found{});
  EXPECT_EQ(unknown(kRedis + "health={exec=['redis-cli','ping']}\n"), Found{});
  EXPECT_EQ(unknown(kRedis + "health={tcp=6379}\n"), Found{});
  EXPECT_EQ(unknown(kRedis + "[services.web]\ncommand='x'\nenv={R='${services.cache.host}'}\n"),
            Found{});
}

}  // namespace
}  // namespace locald::project
