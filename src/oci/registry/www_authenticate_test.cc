#include "oci/registry/www_authenticate.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

TEST(WwwAuthenticate, ReadsWhatRegistriesSend) {
  const auto list = parse_www_authenticate(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/redis:pull,push")");
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].scheme, "bearer");
  EXPECT_EQ(list[0].params.at("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(list[0].params.at("service"), "registry.docker.io");
  EXPECT_EQ(list[0].params.at("scope"), "repository:library/redis:pull,push");
}

TEST(WwwAuthenticate, ReadsSeveralChallengesInOneHeader) {
  const auto list =
      parse_www_authenticate(R"(Basic realm="a \"b\"", Bearer realm=x , service = y, Negotiate)");
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].params.at("realm"), "a \"b\"");
  EXPECT_EQ(list[1].params.at("service"), "y");
  EXPECT_EQ(list[2].scheme, "negotiate");
}

TEST(WwwAuthenticate, TheFirstOfTwoCountsAndGarbageEnds) {
  EXPECT_EQ(parse_www_authenticate(R"(Bearer realm="a",realm="b")").at(0).params.at("realm"), "a");
  EXPECT_TRUE(parse_www_authenticate("").empty());
  EXPECT_TRUE(parse_www_authenticate("=\"x").empty());
  EXPECT_TRUE(parse_www_authenticate(R"(Bearer realm="never closed)").empty());
}

}  // namespace
}  // namespace locald::oci
