#include "builder/user_lookup.h"

#include <gtest/gtest.h>

namespace locald::builder {
namespace {

const UserDatabase kUsers = {
    .passwd =
        "root:x:0:0:root:/root:/bin/sh\n"
        "# a comment\n"
        "\n"
        "broken line\n"
        "huge:x:99999999999:1:::\n"
        "1000:x:5:5::/five:/bin/sh\n"
        "redis:x:999:998:Redis:/data:/bin/false\n"
        "nohome:x:7:7\n",
    .group = "root:x:0:\nredis:x:998:\ntty:x:5:redis,other\nssl:x:101:redis\nbad:x:zz:redis\n",
    .problem = {}};

using Gids = std::vector<std::uint32_t>;

TEST(ResolveUser, IsRootWhenNothingIsSaid) {
  const ResolvedUser user = resolve_user("", kUsers).value();
  EXPECT_EQ(user.uid, 0u);
  EXPECT_EQ(user.home, "/root");
  EXPECT_EQ(user.additional_gids, Gids{0});
}

TEST(ResolveUser, FindsANameWithItsGroupHomeAndMemberships) {
  const ResolvedUser user = resolve_user("redis", kUsers).value();
  EXPECT_EQ(user.uid, 999u);
  EXPECT_EQ(user.gid, 998u);
  EXPECT_EQ(user.home, "/data");
  EXPECT_EQ(user.additional_gids, (Gids{5, 101, 998}));
}

TEST(ResolveUser, TakesDigitsAsANumberNeverAsAName) {
  const ResolvedUser user = resolve_user("1000", kUsers).value();
  EXPECT_EQ(user.uid, 1000u);
  EXPECT_EQ(user.gid, 0u);
  EXPECT_EQ(user.home, "/");
  EXPECT_EQ(resolve_user("999", kUsers).value().name, "redis");
}

TEST(ResolveUser, RefusesNumbersThatAreNoIds) {
  for (const char* text : {"4294967295", "4294967296", "99999999999999999999", "0:4294967296"}) {
    const auto r = resolve_user(text, kUsers);
    ASSERT_FALSE(r) << text;
    EXPECT_EQ(r.error().code(), Errc::invalid_input) << text;
  }
  EXPECT_EQ(resolve_user("4294967294", kUsers).value().uid, 4294967294u);
}

TEST(ResolveUser, TakesAGroupByNameOrNumberInsteadOfTheMemberships) {
  EXPECT_EQ(resolve_user("redis:tty", kUsers).value().additional_gids, Gids{5});
  EXPECT_EQ(resolve_user("redis:77", kUsers).value().gid, 77u);
  EXPECT_EQ(resolve_user("1:tty", kUsers).value().gid, 5u);
  EXPECT_EQ(resolve_user(":tty", kUsers).value().uid, 0u);
}

TEST(ResolveUser, NamesWhatItDoesNotFindAndWhatIsNear) {
  const auto user = resolve_user("rediss", kUsers);
  EXPECT_EQ(user.error().code(), Errc::not_found);
  EXPECT_EQ(user.error().message(), "user \"rediss\": not in the image's /etc/passwd");
  EXPECT_EQ(user.error().hint(), "did you mean \"redis\"?");
  EXPECT_EQ(resolve_user("redis:nope", kUsers).error().message(),
            "group \"nope\": not in the image's /etc/group");
  const auto none = resolve_user(
      "app", {.passwd = "", .group = "", .problem = "/etc/passwd is not a regular file"});
  EXPECT_NE(none.error().message().find("not a regular file"), std::string::npos);
  EXPECT_NE(none.error().hint().find("give a number"), std::string::npos);
}

TEST(ResolveUser, RefusesAFormThatNobodyCanMean) {
  for (const char* fine : {"", "redis", "0", "1000:1000", "redis:", ":redis", "4294967294"})
    EXPECT_TRUE(check_user(fine)) << fine;
  for (const char* wrong : {"1:2:3", "a:b:", "4294967295", "redis:99999999999"})
    EXPECT_EQ(check_user(wrong).error().code(), Errc::invalid_input) << wrong;
  EXPECT_EQ(resolve_user("1:2:3", kUsers).error().message(), "invalid user \"1:2:3\"");
}

TEST(ResolveUser, SkipsEntriesThatAreNone) {
  EXPECT_FALSE(resolve_user("huge", kUsers));
  EXPECT_FALSE(resolve_user("broken line", kUsers));
  EXPECT_EQ(resolve_user("nohome", kUsers).value().home, "/");
  const std::string line(70000, 'a');
  EXPECT_FALSE(resolve_user(line, {.passwd = line + ":x:1:1::/:\n", .group = {}, .problem = {}}));
}

}  // namespace
}  // namespace locald::builder
