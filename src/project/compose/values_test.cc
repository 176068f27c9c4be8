// The values of a service: variables in them, types, quantities, commands.
#include <gtest/gtest.h>

#include "project/compose/quantities.h"
#include "project/compose/testing.h"

namespace locald::project::compose {
namespace {

Request with_shell(Environment shell) {
  Request request = request_of();
  request.shell = std::move(shell);
  return request;
}

TEST(ComposeValues, VariablesStandInValuesAndNotInKeys) {
  const Project project = service(
      "environment: {\"${K}\": \"${K}\"}, command: [\"$K\"], "
      "labels: [\"${K}=v\"]",
      with_shell({{"K", "v"}}));
  EXPECT_EQ(at(project, "services/a/environment"), R"({"${K}":"v"})");
  EXPECT_EQ(at(project, "services/a/labels"), R"({"v":"v"})");
  EXPECT_EQ(at(project, "services/a/command"), R"(["v"])");
}

TEST(ComposeValues, ABadVariableIsToldWithThePathAndAll) {
  const std::string told = problems(load("services:\n  a:\n    image: ${}\n    user: ${V!}\n"));
  EXPECT_TRUE(contains(told, "/p/compose.yaml:3:12: `services.a.image`: invalid variable \"${}\""))
      << told;
  EXPECT_TRUE(contains(told, ":4:11: `services.a.user`")) << told;
  EXPECT_TRUE(contains(told, "a literal $ is written $$")) << told;
}

TEST(ComposeValues, AnUnsetVariableIsNoticedOnceAndIsEmpty) {
  const Project project = service("command: [\"a${U}\", \"${U}b\", \"${W:-w}\"]");
  EXPECT_EQ(at(project, "services/a/command"), R"(["a","b","w"])");
  EXPECT_EQ(project.report.notices.size(), 1u) << notices(project);
  EXPECT_TRUE(contains(notices(project), "the variable U is not set")) << notices(project);
}

TEST(ComposeValues, TextsBecomeWhatTheKeyHolds) {
  const Project project = service(
      "cpu_shares: \"${N}\", tty: \"${T}\", read_only: on, init: \"no\", cpus: \"0.5\", "
      "oom_score_adj: \"-5\", healthcheck: {test: x, retries: \"${N}\"}",
      with_shell({{"N", "3"}, {"T", "yes"}}));
  EXPECT_EQ(at(project, "services/a/cpu_shares"), "3");
  EXPECT_EQ(at(project, "services/a/tty"), "true");
  EXPECT_EQ(at(project, "services/a/read_only"), "true");
  EXPECT_EQ(at(project, "services/a/init"), "false");
  EXPECT_EQ(at(project, "services/a/cpus"), "0.5");
  EXPECT_EQ(at(project, "services/a/oom_score_adj"), "-5");
  EXPECT_EQ(at(project, "services/a/healthcheck/retries"), "3");
  EXPECT_TRUE(contains(notices(project), "`services.a.read_only`: \"on\" is read as true"));
  EXPECT_EQ(wrong("read_only: \"${EMPTY}\""),
            "/p/compose.yaml:1:37: `services.a.read_only` must be true or false, not \"\"");
  EXPECT_TRUE(contains(wrong("oom_score_adj: \"5000\""), "must be between -1000 and 1000"));
  EXPECT_TRUE(contains(wrong("cpu_count: 1.5"), "must be a string or a whole number"));
}

TEST(ComposeValues, NumbersOfAnEnvironmentAreTextsAndNoticedWhereTheyChange) {
  const Project project = service(
      "environment: {A: true, B: yes, C: 12:30, D: 010, E: 0x10, F: 1.0, G: 1e3, H: 1_000, "
      "I: 2020-01-02, J: \"010\", K: 1.5, L: -3}");
  EXPECT_EQ(at(project, "services/a/environment"),
            R"({"A":"true","B":"yes","C":"12:30","D":"8","E":"16","F":"1","G":"1000","H":"1000",)"
            R"("I":"2020-01-02","J":"010","K":"1.5","L":"-3"})");
  EXPECT_TRUE(contains(notices(project),
                       "/p/compose.yaml:1:70: `services.a.environment.D`: 010 is read as 8 (put it "
                       "into quotes)"))
      << notices(project);
  EXPECT_EQ(project.report.notices.size(), 5u) << notices(project);
}

TEST(ComposeValues, PlainWordsOfOtherVersionsOfYaml) {
  EXPECT_EQ(member("ports: [22:22, 2222:22]", "ports"),
            R"([{"mode":"ingress","target":22,"published":"22","protocol":"tcp"},)"
            R"({"mode":"ingress","target":22,"published":"2222","protocol":"tcp"}])");
  EXPECT_EQ(member("restart: no", "restart"), "\"no\"");
  EXPECT_EQ(member("tty: yes", "tty"), "true");
}

TEST(ComposeValues, HealthChecks) {
  EXPECT_EQ(
      member("healthcheck: {test: curl x, interval: 1m30s, timeout: 1d, retries: 0}",
             "healthcheck"),
      R"({"interval":"1m30s","retries":0,"test":["CMD-SHELL","curl x"],"timeout":"24h0m0s"})");
  EXPECT_EQ(member("healthcheck: {test: [NONE]}", "healthcheck/test"), R"(["NONE"])");
  EXPECT_TRUE(contains(wrong("healthcheck: {test: [curl, x]}"),
                       "`services.a.healthcheck.test` must begin with CMD, CMD-SHELL or NONE"));
  EXPECT_TRUE(contains(wrong("healthcheck: {interval: 10}"), "must be a string, not a number"));
  EXPECT_TRUE(contains(wrong("healthcheck: {interval: \"10\"}"), "invalid duration \"10\""));
}

TEST(ComposeValues, CommandsAreSplitAndNoShellReadsThem) {
  EXPECT_EQ(member("command: \"a 'b c' d\\\\ e \\\"f\\\"\"", "command"),
            R"(["a","b c","d e","f"])");
  EXPECT_EQ(member("command: []", "command"), "[]");
  EXPECT_EQ(member("command: \"\"", "command"), "[]");
  EXPECT_EQ(member("tty: true", "command"), "null");
  EXPECT_EQ(member("entrypoint: [\"\"]", "entrypoint"), R"([""])");
  const Project project = service("command: echo a && echo b");
  EXPECT_EQ(at(project, "services/a/command"), R"(["echo","a"])");
  EXPECT_TRUE(contains(notices(project), "no shell runs this, and \"&& echo b\" is left out"));
  EXPECT_TRUE(contains(wrong("command: \"a 'b\""), "a quote or a bracket that is not closed"));
  EXPECT_TRUE(contains(wrong("command: \"a (b)\""), "has a ( that no shell will read"));
}

TEST(ComposeValues, Durations) {
  const auto spelled = [](std::string_view text) {
    const auto time = parse_duration(text);
    return time ? duration_text(*time) : "invalid";
  };
  EXPECT_EQ(spelled("90s"), "1m30s");
  EXPECT_EQ(spelled("1.5h"), "1h30m0s");
  EXPECT_EQ(spelled("1500ms"), "1.5s");
  EXPECT_EQ(spelled("1w"), "168h0m0s");
  EXPECT_EQ(spelled("0"), "0s");
  EXPECT_EQ(spelled("2us"), "2\xc2\xb5s");
  EXPECT_EQ(spelled("-1s"), "-1s");
  for (const char* bad : {"", "s", "1", "1x", "1s2", "-", "1..5s", "9999999999999h"})
    EXPECT_EQ(spelled(bad), "invalid") << bad;
}

TEST(ComposeValues, Sizes) {
  const auto bytes = [](std::string_view text) { return parse_bytes(text).value_or(-2); };
  EXPECT_EQ(bytes("64m"), 64 << 20);
  EXPECT_EQ(bytes("1.5g"), 1610612736);
  EXPECT_EQ(bytes("10 kb"), 10240);
  EXPECT_EQ(bytes("1KiB"), 1024);
  EXPECT_EQ(bytes("512b"), 512);
  EXPECT_EQ(bytes("512"), 512);
  EXPECT_EQ(bytes("-1"), -1);
  for (const char* bad : {"", "m", "1x", "1mbb", "-1m", "1bb", "1e3m"})
    EXPECT_EQ(bytes(bad), -2) << bad;
  EXPECT_EQ(member("mem_limit: 1g", "mem_limit"), "\"1073741824\"");
  EXPECT_EQ(member("shm_size: 1024", "shm_size"), "\"1024\"");
}

TEST(ComposeValues, UlimitsHostsDevicesAndMore) {
  EXPECT_EQ(member("ulimits: {nofile: 10, nproc: {soft: 1, hard: \"2\"}}", "ulimits"),
            R"({"nofile":10,"nproc":{"soft":1,"hard":2}})");
  EXPECT_EQ(member("extra_hosts: [\"a:1.2.3.4\", \"b=[::1],2.2.2.2\"]", "extra_hosts"),
            R"(["a=1.2.3.4","b=2.2.2.2","b=::1"])");
  EXPECT_EQ(member("extra_hosts: {a: host-gateway}", "extra_hosts"), R"(["a=host-gateway"])");
  EXPECT_TRUE(contains(wrong("extra_hosts: [a]"), "\"a\" has no address"));
  EXPECT_EQ(member("devices: [\"/dev/fuse\", \"/a:/b:r\"]", "devices"),
            R"([{"source":"/dev/fuse","target":"/dev/fuse","permissions":"rwm"},)"
            R"({"source":"/a","target":"/b","permissions":"r"}])");
  EXPECT_EQ(member("dns: 1.1.1.1, tmpfs: /t", "dns"), R"(["1.1.1.1"])");
  EXPECT_EQ(member("expose: [80, \"81/udp\"]", "expose"), R"(["80","81/udp"])");
  EXPECT_EQ(member("gpus: all", "gpus"), R"([{"count":-1}])");
  EXPECT_EQ(
      member("deploy: {replicas: 0, resources: {limits: {cpus: \"0.5\", memory: 1m}}}", "deploy"),
      R"({"replicas":0,"resources":{"limits":{"cpus":0.5,"memory":"1048576"}},)"
      R"("placement":{}})");
}

}  // namespace
}  // namespace locald::project::compose
