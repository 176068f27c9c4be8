#include "oci/spec/runtime_spec.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

// What `runc spec` of runc 1.1 writes, shortened, with members we have no name for.
constexpr const char* kDocument = R"({
  "ociVersion": "1.0.2-dev",
  "process": {"terminal": true, "consoleSize": {"height": 24, "width": 80},
    "user": {"uid": 999, "gid": 999, "umask": 18, "additionalGids": [999, 101], "username": "x"},
    "args": ["sh"], "env": ["PATH=/bin"], "cwd": "/",
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
    "noNewPrivileges": true, "oomScoreAdj": 0, "apparmorProfile": "p"},
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "h",
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"], "uidMappings": []}],
  "annotations": {"a": "b"},
  "hooks": {"prestart": []},
  "linux": {
    "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
    "resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3}],
      "memory": {"limit": 1048576, "swap": 1048576}, "cpu": {"quota": 150000, "period": 100000}, "pids": {"limit": 5},
      "unified": {"cpu.idle": "1"}},
    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}],
    "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64"],
      "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 0, "value": 40, "valueTwo": 7, "op": "SCMP_CMP_NE"}]}]},
    "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"], "mountLabel": "m"}
})";

TEST(RuntimeSpec, ReadsWhatItKnows) {
  const RuntimeSpec s = RuntimeSpec::parse(kDocument).value();
  EXPECT_EQ(s.process->user.additional_gids, (std::vector<std::uint32_t>{999, 101}));
  EXPECT_EQ(s.process->console_size->width, 80u);
  EXPECT_EQ(s.root->path, "rootfs");
  EXPECT_EQ(s.linux_->resources->devices[1].major, 1);
  EXPECT_EQ(s.linux_->resources->cpu_quota, 150000);
  EXPECT_EQ(s.linux_->namespaces[1].path, "/proc/1/ns/net");
  EXPECT_EQ(s.linux_->seccomp->syscalls[0].args[0].value_two, 7);
}

TEST(RuntimeSpec, KeepsWhatItDoesNotKnow) {
  const Json again = RuntimeSpec::parse(kDocument).value().to_json();
  EXPECT_TRUE(again.contains("hooks"));
  EXPECT_EQ(again["process"]["apparmorProfile"].as_string(), "p");
  EXPECT_EQ(again["process"]["user"]["username"].as_string(), "x");
  EXPECT_EQ(again["linux"]["mountLabel"].as_string(), "m");
  EXPECT_EQ(again["linux"]["resources"]["unified"]["cpu.idle"].as_string(), "1");
  EXPECT_TRUE(again["mounts"].as_array()[0].contains("uidMappings"));
}

TEST(RuntimeSpec, SurvivesTheWayThereAndBack) {
  const RuntimeSpec once = RuntimeSpec::parse(kDocument).value();
  EXPECT_EQ(RuntimeSpec::parse(once.to_json().dump()).value(), once);
  EXPECT_EQ(RuntimeSpec::from_json(RuntimeSpec{}.to_json()).value(), RuntimeSpec{});
}

TEST(RuntimeSpec, RefusesWrongTypesAndSaysWhere) {
  const auto problem = [](const char* text) { return RuntimeSpec::parse(text).error().message(); };
  EXPECT_EQ(problem(R"({"ociVersion":"1.0.2","process":{"user":{"uid":"0"}}})"),
            "process.user.uid: not a number");
  EXPECT_EQ(problem(R"({"ociVersion":"1.0.2","process":{"user":{"uid":-1}}})"),
            "process.user.uid: out of range");
  EXPECT_EQ(problem(R"({"ociVersion":"1.0.2","process":{"user":{"uid":4294967296}}})"),
            "process.user.uid: out of range");
  EXPECT_EQ(problem(R"({"ociVersion":"1.0.2","mounts":[{"type":"proc"}]})"),
            "mounts[0].destination: missing");
  EXPECT_EQ(problem(R"({"ociVersion":"1.0.2","mounts":{}})"), "mounts: not an array");
  EXPECT_EQ(problem(R"({"process":{}})"), "ociVersion: missing");
  EXPECT_EQ(RuntimeSpec::parse(R"({"ociVersion":"2.0.0"})").error().code(), Errc::unsupported);
}

TEST(RuntimeSpec, RefusesASeccompRuleWhoseConditionItWouldLose) {
  const auto r = spec::Seccomp::from_json(
      Json::parse(
          R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["bpf"],"action":"SCMP_ACT_ALLOW",)"
          R"("includes":{"caps":["CAP_BPF"]}}]})")
          .value());
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message().find("syscalls[0].includes"), std::string::npos);
}

}  // namespace
}  // namespace locald::oci
