#include "oci/registry/login_file.h"

#include <gtest/gtest.h>

#include "base/sys/fs_at.h"
#include "oci/layer/test_tree.h"

namespace locald::oci {
namespace {

FoundLogin find(const std::string& text, const std::string& registry = "reg.example:5000",
                const std::string& repository = "team/app") {
  return parse_login_file(text, "config.json", registry, repository);
}

TEST(LoginFile, ReadsADockerLogin) {
  const auto found = find(R"({"auths":{"reg.example:5000":{"auth":"dXNlcjpzZWM6cmV0"}}})");
  ASSERT_TRUE(found.login);
  EXPECT_EQ(found.login->user, "user");
  EXPECT_EQ(found.login->password, "sec:ret");
}

TEST(LoginFile, WhatAShellsBase64LeavesAtTheEndIsNotOfTheLogin) {
  // echo user:secret | base64, with and without the last line's end within the text.
  for (const char* auth : {R"(dXNlcjpzZWNyZXQK)", R"(dXNlcjpzZWNyZXQK\n)",
                           R"(dXNlcjpzZWNyZXQ=\r\n)", R"(dXNlcjpzZWNyZXQNCg==)"}) {
    const auto found =
        find(std::string(R"({"auths":{"reg.example:5000":{"auth":")") + auth + R"("}}})");
    ASSERT_TRUE(found.login) << auth;
    EXPECT_EQ(found.login->password, "secret") << auth;
  }
}

TEST(LoginFile, KnowsARegistryByAllItsSpellings) {
  for (const char* key :
       {"reg.example:5000", "https://reg.example:5000", "http://reg.example:5000/",
        "https://reg.example:5000/v1/", "https://reg.example:5000/v2/"})
    EXPECT_TRUE(find(std::string(R"({"auths":{")") + key + R"(":{"auth":"dTpw"}}})").login) << key;
  for (const char* key :
       {"https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"})
    EXPECT_TRUE(
        find(std::string(R"({"auths":{")") + key + R"(":{"auth":"dTpw"}}})", "docker.io").login)
        << key;
  for (const char* key :
       {"reg.example", "reg.example:500", "example:5000", "https://evil/reg.example:5000"})
    EXPECT_FALSE(find(std::string(R"({"auths":{")") + key + R"(":{"auth":"dTpw"}}})").login) << key;
}

TEST(LoginFile, TheNearestEntryCounts) {
  const std::string text = R"({"auths":{"reg.example:5000":{"auth":"YTph"},
      "reg.example:5000/team":{"auth":"Yjpi"},"reg.example:5000/team/app":{"auth":"Yzpj"}}})";
  EXPECT_EQ(find(text, "reg.example:5000", "team/app").login->user, "c");
  EXPECT_EQ(find(text, "reg.example:5000", "team/other").login->user, "b");
  EXPECT_EQ(find(text, "reg.example:5000", "teams/app").login->user, "a");
}

TEST(LoginFile, NamesTheHelperThatHasTheLogin) {
  const auto own = find(R"({"credHelpers":{"reg.example:5000":"ecr-login"}})");
  EXPECT_FALSE(own.login);
  EXPECT_NE(own.hint.find("docker-credential-ecr-login"), std::string::npos) << own.hint;
  const auto store = find(R"({"auths":{"reg.example:5000":{}},"credsStore":"desktop"})");
  EXPECT_NE(store.hint.find("docker-credential-desktop"), std::string::npos) << store.hint;
  EXPECT_EQ(find(R"({"auths":{},"credsStore":"desktop"})").hint, "");
  const auto token = find(R"({"auths":{"reg.example:5000":{"auth":"","identitytoken":"x"}}})");
  EXPECT_NE(token.hint.find("identity token"), std::string::npos) << token.hint;
}

TEST(LoginFile, WhatCannotBeReadHoldsNoLogin) {
  for (const char* text :
       {"", "[]", "{", R"({"auths":[]})", R"({"auths":{"reg.example:5000":null}})",
        R"({"auths":{"reg.example:5000":{"auth":"%%%"}}})",
        R"({"auths":{"reg.example:5000":{"auth":"dXNlcg=="}}})",  // no colon
        R"({"auths":{"reg.example:5000":{"auth":"OnBhc3M="}}})",  // no user
        R"({"auths":{"reg.example:5000":{"auth":"dTpwCnE="}}})",  // a line break in it
        R"({"auths":{"reg.example:5000":{"auth":7}}})"})
    EXPECT_FALSE(find(text).login) << text;
}

TEST(LoginFile, TheFirstFileWithALoginCounts) {
  const test::TempDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "a", R"({"credHelpers":{"r.example":"x"}})"));
  ASSERT_TRUE(
      write_file_atomic(dir / "b", R"({"auths":{"r.example":{"username":"u","password":"p"}}})"));
  EXPECT_EQ(find_login({dir / "none", dir / "a", dir / "b"}, "r.example", "a").login->password,
            "p");
  EXPECT_NE(find_login({dir / "none", dir / "a"}, "r.example", "a").hint, "");
  EXPECT_EQ(find_login({dir / "none"}, "r.example", "a").hint, "");
}

}  // namespace
}  // namespace locald::oci
