// What may stand in a file, and what is said of what may not; env files of services.
#include "project/compose/shape.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "project/compose/testing.h"

namespace locald::project::compose {
namespace {

TEST(ComposeSchema, AnUnknownKeyIsToldWithThePlaceAndTheRightOne) {
  EXPECT_EQ(problems(load("services:\n  a:\n    imag: x\n    image: x\n")),
            "/p/compose.yaml:3:5: unknown key `imag` in `services.a` (did you mean `image`?)");
  EXPECT_EQ(problems(load("servces: {}\nservices: {a: {image: x}}\n")),
            "/p/compose.yaml:1:1: unknown key `servces` in the file (did you mean `services`?)");
  EXPECT_TRUE(contains(wrong("healthcheck: {tset: x}"),
                       "unknown key `tset` in `services.a.healthcheck` (did you mean `test`?)"));
  EXPECT_TRUE(contains(wrong("build: {context: ., dokerfile: x}"), "did you mean `dockerfile`?"));
}

TEST(ComposeSchema, KeysOfOnesOwnMayStandAnywhere) {
  EXPECT_EQ(problems(load("x-a: {b: [1]}\nservices: {a: {image: x, x-b: 1, deploy: {x-c: 2}}}\n"
                          "networks: {default: {x-d: }}\n")),
            "");
  EXPECT_EQ(at(service("x-b: 1"), "services/a/x-b"), "null");
}

TEST(ComposeSchema, AFileOfVersion1IsToldSo) {
  EXPECT_TRUE(contains(problems(load("web: {image: x}\n")), "a file of version 1"));
}

TEST(ComposeSchema, TheVersionIsNoticed) {
  const Project project = load("version: '3'\nservices: {a: {image: x}}\n");
  EXPECT_EQ(problems(project), "");
  EXPECT_EQ(notices(project), "/p/compose.yaml:1:10: `version` has no effect (remove it)");
}

TEST(ComposeSchema, WrongKindsAreToldAllAtOnce) {
  const std::string told = problems(load(
      "services:\n  a:\n    image: 1.0\n    ports: x\n    tty: 1\n    restart:\n    dns: {}\n"));
  for (const char* part :
       {":3:12: `services.a.image` must be a string, not a number (put it into quotes)",
        ":4:12: `services.a.ports` must be a list, not a string",
        ":5:10: `services.a.tty` must be a string or true or false, not a number",
        "`services.a.restart` must be a string, not nothing",
        "`services.a.dns` must be a string or a list, not a mapping"})
    EXPECT_TRUE(contains(told, part)) << part << "\n" << told;
}

TEST(ComposeSchema, WordsAndRequiredKeys) {
  EXPECT_TRUE(
      contains(wrong("volumes: [{type: bnd, source: /a, target: /b}]"),
               "must be one of bind, volume, tmpfs, cluster, npipe, image, not \"bnd\" (did "
               "you mean `bind`?)"));
  EXPECT_TRUE(contains(wrong("volumes: [{source: /a, target: /b}]"), "needs the key `type`"));
  EXPECT_TRUE(contains(wrong("security_opt: [a, a]"), "is in the list already"));
  EXPECT_TRUE(contains(wrong("restart: sometimes"),
                       "`services.a.restart` must be one of no, always, on-failure, "
                       "unless-stopped or on-failure:N, not \"sometimes\""));
  EXPECT_EQ(wrong("restart: on-failure:5"), "");
  EXPECT_TRUE(contains(wrong("pull_policy: alway"), "did you mean `always`?"));
  EXPECT_EQ(wrong("pull_policy: every_12h"), "");
  EXPECT_EQ(member("pull_policy: if_not_present", "pull_policy"), "\"missing\"");
  EXPECT_TRUE(contains(wrong("ports: [{published: 80}]"), "`services.a.ports` needs a `target`"));
  EXPECT_TRUE(contains(wrong("dns_opt: a"), "`services.a.dns_opt` must be a list, not a string"));
  EXPECT_EQ(wrong("restart: \"${R:-always}\""), "");
}

TEST(ComposeSchema, EachShapeIsWholeAndReachable) {
  // A list has items, a table keys or values; words are for texts.
  std::vector<const Shape*> seen;
  const auto walk = [&](const auto& self, const Shape& shape) -> void {
    if (std::find(seen.begin(), seen.end(), &shape) != seen.end()) return;
    seen.push_back(&shape);
    EXPECT_TRUE((shape.kinds & kList) == 0 || shape.items != nullptr);
    EXPECT_TRUE((shape.kinds & kMap) == 0 || shape.key_count != 0 || shape.values != nullptr);
    EXPECT_TRUE(shape.words.empty() || (shape.kinds & kText) != 0);
    for (const Key& key : shape) {
      ASSERT_NE(key.shape, nullptr) << key.name;
      self(self, *key.shape);
    }
    for (const std::string& key : split(shape.required, '|'))
      EXPECT_TRUE(key.empty() || shape.find(key) != nullptr) << key;
    if (shape.items != nullptr) self(self, *shape.items);
    if (shape.values != nullptr) self(self, *shape.values);
  };
  walk(walk, kProjectShape);
  EXPECT_GT(seen.size(), 80u);
  EXPECT_EQ(kServiceShape.key_count, 93u);  // as many as the specification has
}

TEST(ComposeSchema, ASourceOfYamlThatIsNoMappingIsRefused) {
  EXPECT_TRUE(contains(problems(load("just text\n")), "the file must be a mapping, not a string"));
  EXPECT_TRUE(contains(problems(load("a: 1\n---\n")), "unknown key"));
  EXPECT_TRUE(contains(problems(load("# nothing\n")), "the file is empty"));
  EXPECT_TRUE(contains(problems(load("services: {a: [}")), "not YAML"));
}

TEST(ComposeEnvFiles, EnvironmentThenLaterFilesThenEarlierOnes) {
  Files files{{{"/p/compose.yaml",
                "services: {a: {image: x, env_file: [1.env, 2.env, {path: none.env, required: "
                "false}], environment: {A: own, N: null, E: \"\"}}}"},
               {"/p/1.env", "A=1\nB=1\nC=1\nN=1\nE=1\n"},
               {"/p/2.env", "B=2\nD=${SHELL_VAR}/${A}/${C}\nC2='${A}'\n"}}};
  Request request = request_of();
  request.shell = {{"SHELL_VAR", "s"}, {"B", "shell"}};
  const Project project = load(files, request);
  // The shell overrides none of them; `N:` without a value is unset, whatever a file says.
  EXPECT_EQ(at(project, "services/a/environment"),
            R"({"A":"own","B":"2","C":"1","C2":"${A}","D":"s/own/1","E":"","N":null})");
}

TEST(ComposeEnvFiles, TheProjectsVariablesAreNotTheContainers) {
  Files files{{{"/p/compose.yaml", "services: {a: {image: x, environment: [A, B, \"C=$A\"]}}"},
               {"/p/.env", "A=a\nD=d\n"}}};
  EXPECT_EQ(at(load(files), "services/a/environment"), R"({"A":"a","B":null,"C":"a"})");
}

TEST(ComposeEnvFiles, FormatsAndMissingOnes) {
  Files files{{{"/p/compose.yaml", "services: {a: {image: x, env_file: [{path: r, format: raw}]}}"},
               {"/p/r", "A='x y' # c\n# c\nB=$C\r\n"}}};
  EXPECT_EQ(at(load(files), "services/a/environment"), R"({"A":"'x y' # c","B":"$C"})");
  EXPECT_TRUE(contains(wrong("env_file: none.env"),
                       "`services.a.env_file`: /p/none.env does not exist (create it, or write "
                       "`path` with `required: false`)"));
  files.texts["/p/compose.yaml"] = "services: {a: {image: x, env_file: [{path: r, format: json}]}}";
  EXPECT_TRUE(contains(problems(load(files)), "unknown format \"json\""));
}

TEST(ComposeEnvFiles, Grammar) {
  Files files{
      {{"/p/compose.yaml", "services: {a: {image: x, env_file: e}}"},
       {"/p/e",
        "export A=1\nB: b\nC = c  \nD=x#y\nE=x #y\nF=\"a\\nb\\\"\"\nG='multi\nline'\nSHELL\n"
        "H=#h\nI= \n1X=x\nJ=\"\\$A\"\nK=$$A\n"}}};
  Request request = request_of();
  request.shell = {{"SHELL", "sh"}};
  EXPECT_EQ(at(load(files, request), "services/a/environment"),
            R"({"1X":"x","A":"1","B":"b","C":"c","D":"x#y","E":"x","F":"a\nb\"","G":"multi\nline",)"
            R"("H":"#h","I":"","J":"$A","K":"$A","SHELL":"sh"})");
  files.texts["/p/e"] = "A=1\nA B=2\nC=\"open\n";
  const std::string told = problems(load(files, request));
  EXPECT_TRUE(contains(told, "/p/e:2:1: A: a = is expected after the name")) << told;
  EXPECT_TRUE(contains(told, "/p/e:3:1: the \" is not closed")) << told;
}

TEST(ComposeEnvFiles, LabelFiles) {
  Files files{{{"/p/compose.yaml", "services: {a: {image: x, label_file: l, labels: {b: own}}}"},
               {"/p/l", "a=1\nb=2\n"}}};
  EXPECT_EQ(at(load(files), "services/a/labels"), R"({"a":"1","b":"own"})");
  EXPECT_EQ(at(load(files), "services/a/label_file"), R"(["/p/l"])");
}

}  // namespace
}  // namespace locald::project::compose
