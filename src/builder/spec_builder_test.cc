#include "builder/spec_builder.h"

#include <gtest/gtest.h>

#include <csignal>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/source_dir.h"

namespace locald::builder {
namespace {

using runtime::IdMapKind;

/// LOCALD_ACCEPT=1 rewrites the golden files, and proves nothing.
void expect_golden(const std::string& name, const BuiltSpec& built) {
  // The filter has its own test; here it would be most of the text.
  oci::RuntimeSpec spec = built.spec;
  if (spec.linux_->seccomp) spec.linux_->seccomp->syscalls.clear();
  const std::string file = std::string(LOCALD_SOURCE_DIR) + "/tests/golden/spec/" + name + ".json";
  const std::string got = spec.to_json().dump(/*pretty=*/true) + "\n";
  if (std::getenv("LOCALD_ACCEPT") != nullptr) {
    std::ofstream(file) << got;
    GTEST_SKIP() << "rewrote " << file;
  }
  std::stringstream want;
  want << std::ifstream(file).rdbuf();
  EXPECT_EQ(got, want.str()) << file << "\nLOCALD_ACCEPT=1 accepts the new text";
}

struct Case {
  oci::ImageConfig image;
  ContainerOptions options;
  ImageFacts facts;
  HostFacts host;
  std::vector<ReadyMount> mounts;

  Case() {
    image.entrypoint = {"docker-entrypoint.sh"};
    image.cmd = {"redis-server"};
    image.env = {"PATH=/usr/bin:/bin", "REDIS_VERSION=7"};
    image.working_dir = "/data";
    image.stop_signal = "SIGINT";
    image.labels = {{"annotation", "must not appear"}};
    facts.users.passwd = "root:x:0:0::/root:/bin/sh\nredis:x:999:998::/data:/bin/false\n";
    facts.users.group = "root:x:0:\ntty:x:5:redis\n";
  }
  Result<BuiltSpec> build() const {
    return build_spec({.image = image,
                       .options = options,
                       .facts = facts,
                       .host = host,
                       .mounts = mounts,
                       .own_files = {{.source = "/run/b/hosts", .target = "/etc/hosts"}},
                       .fallback_hostname = "abc123"});
  }
};

std::vector<std::string> args(const Case& c) { return c.build().value().spec.process->args; }
bool has_env(const BuiltSpec& built, const std::string& pair) {
  const auto& env = built.spec.process->env;
  return std::count(env.begin(), env.end(), pair) == 1;
}

TEST(SpecBuilder, MakesTheSpecOfAnImageAsRoot) {
  Case c;
  c.options.limits = {.memory_bytes = 512u << 20, .cpus = 1.5, .pids = 100};
  expect_golden("root", c.build().value());
}

TEST(SpecBuilder, MakesTheSpecOfAServiceRootlessWithTerminalAndMounts) {
  Case c;
  c.host = {.id_map = IdMapKind::subuid,
            .id_count = 65537,
            .recursive_read_only = true,
            .masked_paths = {}};
  c.options.hostname = "cache";
  c.options.user = "redis";
  c.options.tty = true;
  c.options.rows = 50;
  c.options.columns = 120;
  c.options.env = {{"REDIS_VERSION", "8"}, {"A", "context"}};
  c.mounts = {{.kind = VolumeMount::Kind::bind,
               .source = "/home/u/conf",
               .target = "/data/conf",
               .read_only = true},
              {.kind = VolumeMount::Kind::named, .source = "/store/v", .target = "/data"},
              {.kind = VolumeMount::Kind::tmpfs, .target = "/scratch", .tmpfs_bytes = 1048576}};
  expect_golden("rootless", c.build().value());
}

TEST(SpecBuilder, JoinsEntrypointAndCommandAsDockerDoes) {
  using Words = std::vector<std::string>;
  Case c;
  EXPECT_EQ(args(c), (Words{"docker-entrypoint.sh", "redis-server"}));
  c.options.command = Words{"sh", "-c", "x"};
  EXPECT_EQ(args(c), (Words{"docker-entrypoint.sh", "sh", "-c", "x"}));
  c.options.entrypoint = Words{"/e"};
  EXPECT_EQ(args(c), (Words{"/e", "sh", "-c", "x"}));
  c.options.command.reset();
  EXPECT_EQ(args(c), Words{"/e"}) << "an own entry point takes the image's Cmd away";
  c.options.entrypoint = Words{};
  EXPECT_EQ(c.build().error().code(), Errc::invalid_input);
  EXPECT_NE(c.build().error().hint().find("command ="), std::string::npos);
}

TEST(SpecBuilder, OrdersTheEnvironmentImageThenOptions) {
  Case c;
  c.options.env = {{"REDIS_VERSION", "8"}, {"A", "options"}};
  const BuiltSpec built = c.build().value();
  EXPECT_TRUE(has_env(built, "REDIS_VERSION=8"));
  EXPECT_TRUE(has_env(built, "A=options"));
  EXPECT_TRUE(has_env(built, "PATH=/usr/bin:/bin"));
  EXPECT_TRUE(has_env(built, "HOME=/root"));
  EXPECT_TRUE(has_env(built, "HOSTNAME=abc123"));
  c.image.env.clear();
  EXPECT_TRUE(has_env(c.build().value(),
                      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  c.options.tty = true;
  EXPECT_TRUE(has_env(c.build().value(), "TERM=xterm"));
}

TEST(SpecBuilder, AnImagesLongEnvTakesLinearTimeAndHasALimit) {
  Case c;
  c.image.env.clear();
  for (int i = 0; i < 15000; ++i) c.image.env.push_back("V" + std::to_string(i) + "=" + "x");
  c.image.env.push_back("V14999=last");
  const auto before = std::chrono::steady_clock::now();
  const BuiltSpec built = c.build().value();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
  EXPECT_TRUE(has_env(built, "V14999=last"));
  EXPECT_TRUE(has_env(built, "V0=x"));
  for (int i = 0; i < 15000; ++i) c.image.env.push_back("V" + std::to_string(i) + "=" + "x");
  EXPECT_EQ(c.build().error().message(),
            "the image's Env has 30001 entries; at most 20000 are taken");
  c.image.env = {"A=" + std::string(5u << 20, 'x')};
  EXPECT_NE(c.build().error().message().find("at most 4096 KiB"), std::string::npos);
}

TEST(SpecBuilder, TakesTheUserOfTheOptionsBeforeTheImages) {
  Case c;
  c.image.user = "redis";
  EXPECT_EQ(c.build().value().spec.process->user.uid, 999u);
  EXPECT_TRUE(has_env(c.build().value(), "HOME=/data"));
  c.options.user = "0";
  EXPECT_EQ(c.build().value().spec.process->user.uid, 0u);
  c.options.user = "nobody-here";
  EXPECT_EQ(c.build().error().code(), Errc::not_found);
}

const HostFacts kSingleId = {.id_map = IdMapKind::single,
                             .id_count = 1,
                             .recursive_read_only = true,
                             .masked_paths = {},
                             .init_program = "/usr/libexec/locald/locald-shim"};

/// The rules for unshare(2).
std::vector<oci::spec::SeccompRule> unshare_rules(const BuiltSpec& built) {
  std::vector<oci::spec::SeccompRule> rules;
  for (const auto& rule : built.spec.linux_->seccomp->syscalls)
    if (std::count(rule.names.begin(), rule.names.end(), "unshare") != 0) rules.push_back(rule);
  return rules;
}

TEST(SpecBuilder, MakesTheSpecOfAnotherUserInASingleIdByOurHelper) {
  Case c;
  c.host = kSingleId;
  c.image.user = "redis";
  expect_golden("rootless-single", c.build().value());
}

TEST(SpecBuilder, NestsAnotherUserWhereThereIsASingleId) {
  using Words = std::vector<std::string>;
  Case c;
  c.host = kSingleId;
  const BuiltSpec root = c.build().value();
  EXPECT_TRUE(root.spec.process->user.additional_gids.empty());
  EXPECT_EQ(root.spec.process->args[0], "docker-entrypoint.sh");
  EXPECT_TRUE(unshare_rules(root).empty());

  c.options.user = "1001:1000";
  c.options.cap_add = {"NET_ADMIN"};
  const BuiltSpec built = c.build().value();
  const oci::spec::Process& process = *built.spec.process;
  EXPECT_EQ(process.args, (Words{"/dev/init", "--map", "1001:1000", "--seal", "--exec", "--report",
                                 "--", "docker-entrypoint.sh", "redis-server"}));
  EXPECT_EQ(process.user, oci::spec::User{});
  EXPECT_EQ(built.user.uid, 1001u);
  const Words needed = {"CAP_SETFCAP"};
  EXPECT_EQ(*process.capabilities, (oci::spec::Capabilities{.bounding = needed,
                                                            .effective = needed,
                                                            .inheritable = {},
                                                            .permitted = needed,
                                                            .ambient = {}}));
  EXPECT_TRUE(process.no_new_privileges);
  const auto rules = unshare_rules(built);
  ASSERT_EQ(rules.size(), 1u);
  EXPECT_EQ(rules[0].names, Words{"unshare"});
  ASSERT_EQ(rules[0].args.size(), 1u);
  EXPECT_EQ(rules[0].args[0].index, 0u);
  EXPECT_EQ(rules[0].args[0].value, 0x10000000) << "CLONE_NEWUSER and nothing else";
  EXPECT_EQ(rules[0].args[0].op, "SCMP_CMP_EQ");

  c.options.user = "redis";
  EXPECT_TRUE(has_env(c.build().value(), "HOME=/data")) << "the user's own, not root's";
  c.options.seccomp_profile = "unconfined";
  EXPECT_EQ(c.build().value().spec.process->args[3], "--exec") << "no filter, so no seal either";
  c.options.user = "0:5";
  EXPECT_EQ(c.build().value().spec.process->args[2], "0:5") << "this group is not there either";
}

TEST(SpecBuilder, PutsTheReaperInFrontWhereItIsAskedFor) {
  using Words = std::vector<std::string>;
  Case c;
  c.options.init = true;
  EXPECT_EQ(c.build().error().code(), Errc::failed) << "no path of the helper";
  c.host.init_program = "/usr/libexec/locald/locald-shim";
  c.image.user = "redis";
  const BuiltSpec built = c.build().value();
  EXPECT_EQ(built.spec.process->args,
            (Words{"/dev/init", "--report", "--", "docker-entrypoint.sh", "redis-server"}));
  EXPECT_EQ(built.spec.process->user.uid, 999u);
  EXPECT_TRUE(unshare_rules(built).empty());
  const auto& mounts = built.spec.mounts;
  const auto at = [&](const std::string& place) {
    return std::find_if(mounts.begin(), mounts.end(),
                        [&](const auto& m) { return m.destination == place; });
  };
  ASSERT_NE(at("/dev/init"), mounts.end());
  EXPECT_LT(at("/dev"), at("/dev/init"));
  EXPECT_EQ(at("/dev/init")->source, "/usr/libexec/locald/locald-shim");
  EXPECT_EQ(at("/dev/init")->options.back(), "rro");

  c.host = kSingleId;
  EXPECT_EQ(c.build().value().spec.process->args,
            (Words{"/dev/init", "--map", "999:998", "--seal", "--report", "--",
                   "docker-entrypoint.sh", "redis-server"}))
      << "PID 1 stays, so it is nested itself";
  c.mounts = {{.source = "/srv/x", .target = "/dev/init"}};
  EXPECT_EQ(c.build().error().code(), Errc::invalid_input);
  c.options.init = false;
  c.options.user = "0";
  EXPECT_TRUE(c.build());
}

TEST(SpecBuilder, RefusesIdsThatTheMapDoesNotHave) {
  Case c;
  c.image.user = "redis";
  c.host = {.id_map = IdMapKind::subuid,
            .id_count = 65537,
            .recursive_read_only = true,
            .masked_paths = {}};
  EXPECT_TRUE(c.build());
  c.options.user = "65537";
  EXPECT_NE(c.build().error().hint().find("/etc/subuid"), std::string::npos);
}

TEST(SpecBuilder, RefusesLimitsItCannotSet) {
  Case c;
  c.host.id_map = IdMapKind::subuid;
  c.options.limits.pids = 10;
  const auto refused = c.build();
  EXPECT_EQ(refused.error().code(), Errc::unsupported);
  EXPECT_TRUE(refused.error().message().starts_with("pids:")) << refused.error().message();
  c.host.id_map = IdMapKind::root;
  EXPECT_TRUE(c.build());
  c.options.limits.memory_bytes = 1024;
  EXPECT_EQ(c.build().error().code(), Errc::invalid_input);
}

TEST(SpecBuilder, RefusesAWorkingFolderInProc) {
  Case c;
  c.image.working_dir = "/proc/self/fd/7";  // CVE-2024-21626
  EXPECT_FALSE(c.build());
  c.image.working_dir = "/w";
  c.facts.paths["/w"].resolved = "/proc/self/cwd";
  EXPECT_FALSE(c.build());
  c.image.working_dir = "/a/../proc";
  EXPECT_FALSE(c.build());
  c.image.working_dir = "relative/dir";
  EXPECT_EQ(c.build().value().spec.process->cwd, "/relative/dir");
}

TEST(SpecBuilder, TakesNothingFromLabels) {
  EXPECT_TRUE(Case().build().value().spec.annotations.empty());
  EXPECT_EQ(Case().build().value().spec.to_json().dump().find("must not appear"),
            std::string::npos);
}

TEST(SpecBuilder, LetsAMountOfTheUsersStandInForOurs) {
  Case c;
  c.mounts = {{.kind = VolumeMount::Kind::tmpfs, .target = "/dev/shm"},
              {.source = "/srv/etc", .target = "/etc"}};
  const auto mounts = c.build().value().spec.mounts;
  EXPECT_EQ(std::count_if(mounts.begin(), mounts.end(),
                          [](const auto& m) { return m.destination == "/dev/shm"; }),
            1);
  EXPECT_EQ(std::count_if(mounts.begin(), mounts.end(),
                          [](const auto& m) { return m.destination == "/etc/hosts"; }),
            0);
}

TEST(SpecBuilder, IgnoresAStopSignalOfTheImageThatIsNone) {
  Case c;
  EXPECT_EQ(c.build().value().stop_signal, SIGINT);
  c.image.stop_signal = "SIGWHAT";
  EXPECT_EQ(c.build().value().stop_signal, 0);
  EXPECT_EQ(c.build().value().notices.size(), 1u);
  c.options.stop_signal = "SIGWHAT";
  EXPECT_FALSE(c.build());
}

}  // namespace
}  // namespace locald::builder
