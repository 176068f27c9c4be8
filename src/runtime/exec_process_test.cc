#include "runtime/exec_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace locald::runtime {
namespace {

using Words = std::vector<std::string>;

/// A container with a single id; the users of /etc/passwd are those of the test's own root.
ExecTarget single_id(Words args) {
  ExecTarget target;
  target.id = "t";
  target.pid = ::getpid();
  target.in_user_namespace = target.single_id = true;
  auto& process = target.config.process.emplace();
  process.args = std::move(args);
  process.capabilities = oci::spec::Capabilities{.bounding = {"CAP_SETFCAP"},
                                                 .effective = {"CAP_SETFCAP"},
                                                 .inheritable = {},
                                                 .permitted = {"CAP_SETFCAP"},
                                                 .ambient = {}};
  target.config.mounts = {{.destination = "/dev/init", .source = "/x/locald-shim"}};
  return target;
}

ExecSpec as(const std::string& user) {
  return {.argv = {"id"}, .env = {}, .user = user, .cwd = {}};
}

TEST(ExecProcess, IsNestedAsTheContainersCommandIs) {
  const ExecTarget target = single_id({"/dev/init", "--map", "1001:1000", "--seal", "--", "web"});
  const auto [process, init] = exec_process(target, as("")).value();
  EXPECT_TRUE(init);
  EXPECT_EQ(process.args,
            (Words{"/dev/init", "--map", "1001:1000", "--seal", "--exec", "--report", "--", "id"}));
  EXPECT_EQ(process.user.uid, 0u);
  EXPECT_EQ(process.capabilities->effective, Words{"CAP_SETFCAP"});
}

TEST(ExecProcess, IsNestedAsTheUserThatIsAskedFor) {
  const ExecTarget target = single_id({"/dev/init", "--map", "1001:1000", "--", "web"});
  auto process = exec_process(target, as("33:44")).value().process;
  EXPECT_EQ(process.args, (Words{"/dev/init", "--map", "33:44", "--exec", "--report", "--", "id"}));
  EXPECT_EQ(process.user, oci::spec::User{}) << "setgroups(2) is denied, so no groups either";
  EXPECT_EQ(process.capabilities->permitted, Words{"CAP_SETFCAP"});
}

TEST(ExecProcess, AsRootIsNotNestedAndGetsNothingThatTheHelperNeeds) {
  auto process =
      exec_process(single_id({"/dev/init", "--map", "1001:1000", "--seal", "--", "web"}), as("0:0"))
          .value()
          .process;
  EXPECT_EQ(process.args, (Words{"/dev/init", "--seal", "--exec", "--report", "--", "id"}));
  EXPECT_EQ(*process.capabilities, oci::spec::Capabilities{});
  process = exec_process(single_id({"/dev/init", "--map", "1001:1000", "--", "web"}), as("0:0"))
                .value()
                .process;
  EXPECT_EQ(process.args, Words{"id"});
}

TEST(ExecProcess, RefusesOtherUsersWhereTheContainerHasOneIdAndNoHelper) {
  for (const Words& args : {Words{"web"}, Words{"/dev/init", "--", "web"}}) {
    const auto refused = exec_process(single_id(args), as("33"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::unsupported);
    EXPECT_NE(refused.error().hint().find("locald doctor"), std::string::npos);
    EXPECT_EQ(exec_process(single_id(args), as(""))->process.args, Words{"id"});
    EXPECT_FALSE(exec_process(single_id(args), as(""))->init);
    EXPECT_TRUE(exec_process(single_id(args), as("0:0"))->process.user.additional_gids.empty());
  }
}

TEST(ExecProcess, HasTheUserAndGroupsAsTheyAreWithAllIds) {
  ExecTarget target = single_id({"/dev/init", "--", "web"});
  target.single_id = false;
  auto process = exec_process(target, as("33:44")).value().process;
  EXPECT_EQ(process.args, Words{"id"});
  EXPECT_EQ(process.user.uid, 33u);
  EXPECT_EQ(process.user.additional_gids, std::vector<std::uint32_t>{44});
}

}  // namespace
}  // namespace locald::runtime
