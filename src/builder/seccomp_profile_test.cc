#include "builder/seccomp_profile.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/sys/fs_at.h"

namespace locald::builder {
namespace {

const std::vector<std::string>& allowed(const oci::spec::Seccomp& filter) {
  return filter.syscalls[0].names;
}
bool allows(const oci::spec::Seccomp& filter, const std::string& call) {
  return std::find(allowed(filter).begin(), allowed(filter).end(), call) != allowed(filter).end();
}

TEST(Seccomp, IsAnAllowListForOneArchitecture) {
  const auto filter = default_seccomp({});
  EXPECT_EQ(filter.default_action, "SCMP_ACT_ERRNO");
  EXPECT_EQ(filter.architectures.size(), 1u);
  EXPECT_EQ(std::set<std::string>(allowed(filter).begin(), allowed(filter).end()).size(),
            allowed(filter).size())
      << "a name is there twice";
}

TEST(Seccomp, DeniesByAbsenceWhatContainersBreakOutWith) {
  const auto filter = default_seccomp({});
  for (const char* call : {"keyctl",         "add_key",     "request_key",       "io_uring_setup",
                           "io_uring_enter", "bpf",         "userfaultfd",       "mount",
                           "umount2",        "setns",       "unshare",           "pivot_root",
                           "kexec_load",     "init_module", "open_by_handle_at", "perf_event_open",
                           "reboot",         "swapon",      "settimeofday",      "clock_settime",
                           "iopl",           "socket",      "personality",       "clone",
                           "clone3",         "fsopen",      "move_mount",        "open_tree",
                           "pidfd_getfd"})
    EXPECT_FALSE(allows(filter, call)) << call;
  for (const char* call : {"read", "execve", "openat", "futex", "epoll_wait", "rseq", "statx",
                           "ptrace", "sendmsg", "chown", "setuid"})
    EXPECT_TRUE(allows(filter, call)) << call;
}

TEST(Seccomp, LetsTheHelperMakeAUserNamespaceAndNothingElse) {
  const auto rule_of = [](const oci::spec::Seccomp& filter) {
    return std::find_if(filter.syscalls.begin(), filter.syscalls.end(), [](const auto& rule) {
      return rule.names == std::vector<std::string>{"unshare"};
    });
  };
  const auto without = default_seccomp({"CAP_SETFCAP"});
  EXPECT_EQ(rule_of(without), without.syscalls.end());
  const auto filter = default_seccomp({"CAP_SETFCAP"}, /*nesting=*/true);
  ASSERT_NE(rule_of(filter), filter.syscalls.end());
  EXPECT_EQ(rule_of(filter)->args,
            (std::vector<oci::spec::SeccompArg>{{.index = 0, .value = 0x10000000}}));
  EXPECT_FALSE(allows(filter, "unshare"));
  EXPECT_FALSE(allows(filter, "setns"));
}

TEST(Seccomp, LetsSocketsInByFamilyAndCloneWithoutNamespaces) {
  const auto filter = default_seccomp({});
  std::set<std::int64_t> families;
  for (const auto& rule : filter.syscalls) {
    if (rule.names[0] == "socket") {
      ASSERT_EQ(rule.args.size(), 1u);
      EXPECT_EQ(rule.args[0].op, "SCMP_CMP_EQ");
      families.insert(rule.args[0].value);
    }
    if (rule.names[0] == "clone") {
      EXPECT_EQ(rule.args[0].value, 0x7E020000);
      EXPECT_EQ(rule.args[0].op, "SCMP_CMP_MASKED_EQ");
    }
    if (rule.names[0] == "clone3") {
      EXPECT_EQ(rule.errno_ret, 38u);
    }
  }
  EXPECT_EQ(families, (std::set<std::int64_t>{1, 2, 10, 16, 17}));
  EXPECT_FALSE(families.contains(38) || families.contains(40));
}

TEST(Seccomp, GoesWithTheCapabilities) {
  const auto filter = default_seccomp({"CAP_SYS_ADMIN"});
  EXPECT_TRUE(allows(filter, "mount"));
  EXPECT_TRUE(allows(filter, "clone3"));
  EXPECT_FALSE(allows(filter, "reboot"));
  EXPECT_FALSE(allows(filter, "init_module"));
}

TEST(Seccomp, ReadsAProfileOfTheUsersOwn) {
  const std::string file = "/tmp/locald-seccomp-" + std::to_string(::getpid());
  ASSERT_TRUE(write_file_atomic(file, R"({"defaultAction":"SCMP_ACT_ALLOW"})"));
  EXPECT_EQ(choose_seccomp(file, {}).value()->default_action, "SCMP_ACT_ALLOW");
  ASSERT_TRUE(write_file_atomic(
      file,
      R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"a","includes":{}}]})"));
  const auto docker = choose_seccomp(file, {});
  ASSERT_FALSE(docker);
  EXPECT_NE(docker.error().hint().find("Docker"), std::string::npos);
  ASSERT_TRUE(remove_tree(file));
  EXPECT_EQ(choose_seccomp(file, {}).error().code(), Errc::not_found);
  EXPECT_FALSE(choose_seccomp("unconfined", {}).value().has_value());
}

}  // namespace
}  // namespace locald::builder
