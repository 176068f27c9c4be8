#include "runtime/exec_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "base/sys/fs_at.h"
#include "runtime/process_runtime.h"
#include "runtime/processes.h"
#include "runtime/shim_record.h"

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

/// A container's record without a container: its shim is a process of the test's.
struct ExecInto : ::testing::Test {
  ~ExecInto() override {
    end_shim();
    (void)remove_tree(home);
  }

  void end_shim() {
    if (shim <= 0) return;
    ::kill(shim, SIGKILL);
    ::waitpid(std::exchange(shim, 0), nullptr, 0);
  }

  void SetUp() override {
    record.id = "0123456789ab";
    record.nonce = std::string(32, 'a');
    record.name = "shop/db";
    record.kind = "container";
    record.boot_id = boot_id();
    record.shim_pid = shim = ::fork();
    if (shim == 0) {
      ::pause();
      ::_exit(0);
    }
    record.shim_start = process_stat(record.shim_pid)->start_time;
    record.folder = paths.instance(record.id);
    ASSERT_TRUE(make_dirs(record.folder));
    ASSERT_TRUE(write_file_atomic(record.folder + "/instance.json", record.to_text()));
    ASSERT_TRUE(keep(paths, record));
  }

  std::string message() {
    ProcessRuntime runtime(
        {.paths = paths, .shim = "", .runc = "/bin/true", .user_namespace = [] { return -1; }});
    InstanceSpec session;
    session.id = "ba9876543210";
    session.nonce = std::string(32, 'b');
    session.name = "shop/db exec";
    const auto run = runtime.exec(session, record.id, as("root"));
    return run ? "it ran" : run.error().message();
  }

  std::string name = "/tmp/locald-exec-XXXXXX";
  std::string home = ::mkdtemp(name.data());
  Paths paths = Paths::from_env(
                    [this](const std::string& n) {
                      return n == "LOCALD_HOME" ? std::optional(home) : std::nullopt;
                    },
                    1000)
                    .value();
  InstanceRecord record;
  pid_t shim = 0;
};

TEST_F(ExecInto, AContainerThatHasEndedIsToldAsThat) {
  end_shim();
  EXPECT_EQ(message(), "shop/db has ended");
  ASSERT_TRUE(remove_tree(record.folder));
  EXPECT_EQ(message(), "shop/db has ended");
  forget(paths, record.id);
  EXPECT_EQ(message(), record.folder + ": no container runs there: it has ended");
}

TEST_F(ExecInto, AContainerWhoseRunFolderWasDeletedIsNotSaidToHaveEnded) {
  ASSERT_TRUE(remove_tree(record.folder));
  EXPECT_EQ(message(), "shop/db: its run folder was deleted: no command can be run in it");
}

}  // namespace
}  // namespace locald::runtime
