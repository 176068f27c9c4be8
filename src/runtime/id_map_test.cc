#include "runtime/id_map.h"

#include <gtest/gtest.h>

#include "runtime/exec_process.h"
#include "runtime/shim_spec.h"

namespace locald::runtime {
namespace {

Result<SubidRange> find(const std::string& text, const std::string& name = "alice",
                        std::uint32_t uid = 1000) {
  return find_subids(parse_subids(text), name, uid, "/etc/subuid");
}

TEST(IdMap, TheFirstRangeThatIsLargeEnoughCountsByNameOrUid) {
  EXPECT_EQ(*find("bob:100000:65536\nalice:165536:65536\n"), (SubidRange{165536, 65536}));
  EXPECT_EQ(*find("alice:100000:10\n1000:200000:100000\n"), (SubidRange{200000, 100000}));
}

TEST(IdMap, LinesThatAreNoneAreSkipped) {
  EXPECT_TRUE(
      parse_subids(
          "# "
          "c\nalice:1\nalice:x:65536\nalice:-1:65536\n:1:1\nalice:4294967295:65536\nalice:1:0\n\n")
          .empty());
}

TEST(IdMap, NoRangeTellsTheCommandThatGivesOne) {
  const auto none = find("bob:100000:65536\n");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Errc::not_found);
  EXPECT_EQ(none.error().message(), "No subordinate ids for alice in /etc/subuid");
  EXPECT_NE(none.error().hint().find(
                "usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice"),
            std::string::npos)
      << none.error().hint();
  EXPECT_EQ(find("alice:100000:1000\n").error().message(),
            "Only 1000 subordinate ids for alice in /etc/subuid");
}

TEST(IdMap, AnOverlapWithAnotherUserIsRefused) {
  const auto shared = find("alice:100000:65536\nbob:165535:65536\n");
  ASSERT_FALSE(shared);
  EXPECT_EQ(shared.error().code(), Errc::denied);
  EXPECT_NE(shared.error().message().find("overlap with those of bob"), std::string::npos);
  EXPECT_TRUE(find("alice:100000:65536\nbob:165536:65536\nalice:100000:65536\n"));
}

TEST(ExecUser, IsFoundByNameOrIsTheNumberItself) {
  const std::string passwd =
      "root:x:0:0::/:/bin/sh\nweb:x:33:44::/:/bin/sh\n1000:x:7:7::/:/bin/sh\n";
  const std::string group = "root:x:0:\nextra:x:77:web,x\nstaff:x:50:\n";
  auto user = *parse_user("web", passwd, group);
  EXPECT_EQ(user.uid, 33u);
  EXPECT_EQ(user.gid, 44u);
  EXPECT_EQ(user.additional_gids, (std::vector<std::uint32_t>{44, 77}));
  EXPECT_EQ(parse_user("web:staff", passwd, group)->gid, 50u);
  EXPECT_EQ(parse_user("web:9", passwd, group)->gid, 9u);
  EXPECT_EQ(parse_user("1000", passwd, group)->uid, 1000u);  // a number, not the user of that name
  EXPECT_EQ(parse_user("33", passwd, group)->gid, 44u);
  EXPECT_EQ(parse_user("ghost", passwd, group).error().code(), Errc::not_found);
  EXPECT_EQ(parse_user("web:ghosts", passwd, group).error().code(), Errc::not_found);
  EXPECT_EQ(parse_user("4294967296", passwd, group).error().code(), Errc::invalid_input);
}

TEST(ExecUser, IsFoundInFilesWhoseLinesEndWithCrLf) {
  const auto user = *parse_user("web", "root:x:0:0::/:/bin/sh\r\nweb:x:33:44::/:/bin/sh\r\n",
                                "root:x:0:\r\nextra:x:77:x,web\r\n");
  EXPECT_EQ(user.uid, 33u);
  EXPECT_EQ(user.additional_gids, (std::vector<std::uint32_t>{44, 77}));
}

TEST(ShimSpec, RefusesAValueWithANulByte) {
  ShimSpec spec;
  spec.set("arg", std::string_view("a\0b", 3));
  EXPECT_EQ(spec.to_fd().error().code(), Errc::invalid_input);
  EXPECT_EQ(ShimSpec().list("arg", {"a", ""}).bytes(), std::string("arg\0a\0arg\0\0", 11));
}

}  // namespace
}  // namespace locald::runtime
