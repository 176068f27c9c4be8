// Several files: where they are found, how they are merged, what they include and extend.
#include <gtest/gtest.h>

#include "project/compose/find.h"
#include "project/compose/testing.h"

namespace locald::project::compose {
namespace {

constexpr const char* kA = "services: {a: {image: x}}";

std::string files_of(const Project& project) { return join(project.located.files, " "); }

Project merged(const std::string& first, const std::string& second) {
  Request request = request_of();
  request.files = {"1.yaml", "2.yaml"};
  return load(Files{{{"/p/1.yaml", first}, {"/p/2.yaml", second}}}, request);
}
/// The member `key` of the service `a` that both files have.
std::string both(const std::string& first, const std::string& second, const std::string& key) {
  return at(merged("services: {a: {image: x, " + first + "}}", "services: {a: {" + second + "}}"),
            "services/a/" + key);
}

TEST(ComposeFind, LooksUpwardInOrderAndTakesTheOverride) {
  Files files{{{"/p/docker-compose.yml", kA}, {"/p/compose.yml", kA}, {"/compose.yaml", kA}}};
  Project project = load(files, request_of("/p/sub/sub"));
  EXPECT_EQ(files_of(project), "/p/compose.yml");
  EXPECT_EQ(project.located.dir, "/p");
  EXPECT_TRUE(
      contains(notices(project), "compose.yml, docker-compose.yml are there; compose.yml is used"));
  files.texts["/p/compose.yaml"] = kA;
  files.texts["/p/docker-compose.override.yml"] = kA;
  files.texts["/p/compose.override.yaml"] = kA;
  EXPECT_EQ(files_of(load(files)), "/p/compose.yaml /p/compose.override.yaml");
  Request request = request_of();
  request.files = {"compose.yaml"};
  EXPECT_EQ(files_of(load(files, request)), "/p/compose.yaml");
  EXPECT_EQ(files_of(load(files, request_of("/q"))), "/compose.yaml");
  EXPECT_TRUE(contains(problems(load(Files{}, request_of("/q"))), "no compose file here"));
  request.files = {"none.yaml"};
  EXPECT_EQ(problems(load(files, request)), "/p/none.yaml: the file does not exist");
}

TEST(ComposeFind, ComposeFileOfTheShellOrOfTheEnvFile) {
  Files files{{{"/p/compose.yaml", kA},
               {"/p/x.yaml", kA},
               {"/p/y.yaml", kA},
               {"/p/.env", "COMPOSE_FILE=x.yaml:y.yaml\n"}}};
  EXPECT_EQ(files_of(load(files)), "/p/x.yaml /p/y.yaml");
  Request request = request_of();
  request.shell = {{"COMPOSE_FILE", "y.yaml,x.yaml"}, {"COMPOSE_PATH_SEPARATOR", ","}};
  EXPECT_EQ(files_of(load(files, request)), "/p/y.yaml /p/x.yaml");
}

TEST(ComposeFind, TheShellWinsOverEnvFilesOfWhichTheLastCounts) {
  Files files{{{"/p/compose.yaml", "services: {a: {image: \"$A$B$C\"}}"},
               {"/p/.env", "A=env\nB=env\nC=${A}\n"},
               {"/p/1.env", "A=1\nB=1\nC=1\n"},
               {"/p/2.env", "B=2\n"}}};
  Request request = request_of();
  request.shell = {{"A", "shell"}};
  EXPECT_EQ(at(load(files, request), "services/a/image"), "\"shellenvshell\"");
  request.env_files = {"1.env", "2.env"};
  EXPECT_EQ(at(load(files, request), "services/a/image"), "\"shell21\"");
  request.env_files.clear();
  request.shell["COMPOSE_ENV_FILES"] = "1.env,2.env";
  EXPECT_EQ(at(load(files, request), "services/a/image"), "\"shell21\"");
  request.env_files = {"none.env"};
  EXPECT_TRUE(contains(problems(load(files, request)), "/p/none.env does not exist"));
}

TEST(ComposeFind, ChoosesTheProjectsName) {
  EXPECT_EQ(project_name_of("My App.2_x"), "myapp2_x");
  EXPECT_EQ(project_name_of("_-.a"), "a");
  Files files{{{"/p/My App/compose.yaml", kA}}};
  EXPECT_EQ(load(files, request_of("/p/My App")).name, "myapp");
  files.texts["/p/My App/compose.yaml"] =
      "name: \"${N:-In File}\"\nservices: {a: {image: \"$COMPOSE_PROJECT_NAME\"}}";
  EXPECT_EQ(at(load(files, request_of("/p/My App")), "services/a/image"), "\"infile\"");
  Request request = request_of("/p/My App");
  request.shell = {{"COMPOSE_PROJECT_NAME", "by-shell"}};
  EXPECT_EQ(at(load(files, request), "services/a/image"), "\"by-shell\"");
  request.name = "by-option";
  EXPECT_EQ(load(files, request).name, "by-option");
  request.name = "By Option";
  EXPECT_TRUE(contains(problems(load(files, request)), "invalid project name \"By Option\" (-p)"));
  EXPECT_TRUE(contains(problems(load(Files{{{"/%%/compose.yaml", kA}}}, request_of("/%%"))),
                       "nothing of the project's name is left"));
}

TEST(ComposeMerge, ScalarsAndCommandsAreReplaced) {
  EXPECT_EQ(both("user: a", "user: b", "user"), "\"b\"");
  EXPECT_EQ(both("command: [a, b]", "command: c", "command"), R"(["c"])");
  EXPECT_EQ(both("entrypoint: [a, b]", "entrypoint: null", "entrypoint"), "null");
  EXPECT_EQ(
      both("healthcheck: {test: [CMD, a], retries: 3}", "healthcheck: {test: b}", "healthcheck"),
      R"({"retries":3,"test":["CMD-SHELL","b"]})");
  EXPECT_EQ(both("ulimits: {nofile: {soft: 1, hard: 2}}", "ulimits: {nofile: 3}", "ulimits"),
            R"({"nofile":3})");
}

TEST(ComposeMerge, PairsMergeByKey) {
  EXPECT_EQ(both("environment: {A: 1, B: 2}", "environment: [\"B=3\", C]", "environment"),
            R"({"A":"1","B":"3","C":null})");
  EXPECT_EQ(both("labels: [\"a=1\"]", "labels: {a: 2, b: }", "labels"), R"({"a":"2","b":""})");
  EXPECT_EQ(both("sysctls: {a: 1}", "sysctls: [\"a=2\"]", "sysctls"), R"({"a":"2"})");
  EXPECT_EQ(both("build: {context: ., args: {A: 1}}", "build: {args: [\"A=2\"]}", "build/args"),
            R"({"A":"2"})");
  EXPECT_EQ(both("build: ./x", "build: {target: t}", "build"),
            R"({"context":"/p/x","dockerfile":"Dockerfile","target":"t"})");
}

TEST(ComposeMerge, ListsAreAddedAndItemsReplacedByWhatTheyAre) {
  EXPECT_EQ(both("expose: [80]", "expose: [80, 81]", "expose"), R"(["80","81"])");
  EXPECT_EQ(both("cap_add: [A]", "cap_add: [B, A]", "cap_add"), R"(["A","B"])");
  EXPECT_EQ(both("dns: 1.1.1.1", "dns: [2.2.2.2]", "dns"), R"(["1.1.1.1","2.2.2.2"])");
  EXPECT_EQ(both("ports: [\"80:80\"]", "ports: [\"80:80\", \"81:81\"]", "ports"),
            R"([{"mode":"ingress","target":80,"published":"80","protocol":"tcp"},)"
            R"({"mode":"ingress","target":81,"published":"81","protocol":"tcp"}])");
  EXPECT_EQ(both("volumes: [\"./a:/d\", \"./b:/e\"]", "volumes: [\"./c:/d:ro\"]", "volumes"),
            R"([{"type":"bind","source":"/p/c","target":"/d","read_only":true,"bind":{}},)"
            R"({"type":"bind","source":"/p/b","target":"/e","bind":{}}])");
  EXPECT_EQ(both("devices: [\"/a:/d\"]", "devices: [\"/b:/d\"]", "devices"),
            R"([{"source":"/b","target":"/d","permissions":"rwm"}])");
  EXPECT_EQ(both("extra_hosts: [\"a=1.1.1.1\"]", "extra_hosts: {a: 2.2.2.2}", "extra_hosts"),
            R"(["a=1.1.1.1","a=2.2.2.2"])");
}

TEST(ComposeMerge, MappingsOfNamesAreAdded) {
  const Project project = merged(
      "services: {a: {image: x, networks: [n], depends_on: [b]}, b: {image: x}}\n"
      "networks: {n: , m: }",
      "services: {a: {networks: {n: {aliases: [q]}, m: }, depends_on: {b: {condition: "
      "service_healthy}}}}");
  EXPECT_EQ(at(project, "services/a/networks"), R"({"n":{"aliases":["q"]},"m":null})");
  EXPECT_EQ(at(project, "services/a/depends_on"),
            R"({"b":{"required":true,"condition":"service_healthy"}})");
}

TEST(ComposeMerge, LoggingOptionsStayWithTheirDriver) {
  EXPECT_EQ(both("logging: {driver: json-file, options: {a: 1}}", "logging: {options: {b: 2}}",
                 "logging"),
            R"({"driver":"json-file","options":{"a":"1","b":"2"}})");
  EXPECT_EQ(both("logging: {driver: json-file, options: {a: 1}}",
                 "logging: {driver: local, options: {b: 2}}", "logging"),
            R"({"driver":"local","options":{"b":"2"}})");
}

TEST(ComposeMerge, PathsStartAtTheFirstFilesFolder) {
  Request request = request_of();
  request.files = {"one/1.yaml", "two/2.yaml"};
  const Project project = load(
      Files{{{"/p/one/1.yaml", kA}, {"/p/two/2.yaml", "services: {a: {volumes: [\"./d:/d\"]}}"}}},
      request);
  EXPECT_EQ(project.model["services"]["a"]["volumes"].as_array()[0]["source"].as_string(),
            "/p/one/d");
}

TEST(ComposeMerge, NullChangesNothingAndTagsRemoveOrReplace) {
  EXPECT_EQ(both("user: a", "user: null", "user"), "\"a\"");
  EXPECT_EQ(both("user: a", "user: !reset null", "user"), "null");
  EXPECT_EQ(both("ports: [\"80:80\"]", "ports: !reset []", "ports"), "null");
  EXPECT_EQ(both("ports: [\"80:80\"]", "ports: !override [\"81:81\"]", "ports"),
            R"([{"mode":"ingress","target":81,"published":"81","protocol":"tcp"}])");
  EXPECT_EQ(both("environment: {A: 1, B: 2}", "environment: {A: !reset null}", "environment"),
            R"({"B":"2"})");
  EXPECT_EQ(at(merged("services: {a: {image: x}, b: {image: x}}", "services: {b: !reset null}"),
               "services/b"),
            "null");
  EXPECT_EQ(both("ports: [\"80:80\"]", "<<: {ports: !reset []}", "ports"), "null");
}

TEST(ComposeMerge, WhatDoesNotGoTogetherIsToldWithBothPlaces) {
  EXPECT_EQ(both("ports: [\"80\"]", "ports: {a: b}", "ports"),
            "/p/2.yaml:1:23: `services.a.ports` is a mapping here, and a list at /p/1.yaml:1:33 "
            "(`!override` in front of it replaces the earlier value)");
}

TEST(ComposeMerge, DocumentsOfOneFileMergeInOrder) {
  EXPECT_EQ(
      at(load("services: {a: {image: x}}\n---\nservices: {a: {image: y}}\n"), "services/a/image"),
      "\"y\"");
}

TEST(ComposeExtends, TakesOverASiblingOrAServiceOfAnotherFile) {
  Files files{{{"/p/compose.yaml",
                "services: {a: {extends: {file: sub/base.yaml, service: b}, command: [a]}, "
                "c: {extends: a, user: c}}"},
               {"/p/sub/base.yaml",
                "services: {b: {extends: {service: base}, volumes: [\"./d:/d\"], profiles: [p]}, "
                "base: {image: base, ports: [\"80:80\"]}, other: {no such: key}}"}}};
  Request request = request_of();
  request.profiles = {"p"};
  const Project project = load(files, request);
  EXPECT_EQ(at(project, "services/a/image"), "\"base\"");
  EXPECT_EQ(at(project, "services/a/command"), R"(["a"])");
  EXPECT_EQ(at(project, "services/a/volumes"),
            R"([{"type":"bind","source":"/p/sub/d","target":"/d","bind":{}}])");
  EXPECT_EQ(at(project, "services/c/user"), "\"c\"");
  EXPECT_EQ(at(project, "services/c/profiles"), R"(["p"])");
  EXPECT_EQ(at(project, "services/c/extends"), "null");
}

TEST(ComposeExtends, ResetRemovesWhatTheBaseHas) {
  EXPECT_EQ(at(load("services: {b: {image: x, ports: [\"80:80\"]}, a: {extends: b, ports: !reset "
                    "[]}}"),
               "services/a/ports"),
            "null");
}

TEST(ComposeExtends, ACycleIsToldWithItsChain) {
  EXPECT_TRUE(contains(problems(load("services: {a: {extends: b}, b: {extends: a}}")),
                       "services extend each other: a in /p/compose.yaml → b in /p/compose.yaml → "
                       "a in /p/compose.yaml"));
  Files files{{{"/p/compose.yaml", "services: {a: {extends: {file: b.yaml, service: b}}}"},
               {"/p/b.yaml", "services: {b: {extends: {file: compose.yaml, service: a}}}"}}};
  EXPECT_TRUE(contains(problems(load(files)), "services extend each other: a in /p/compose.yaml"));
}

TEST(ComposeExtends, IsBounded) {
  std::string chain = "services:\n  s0: {image: x}\n";
  for (int i = 1; i < 20'000; ++i)
    chain += "  s" + std::to_string(i) + ": {extends: s" + std::to_string(i - 1) + "}\n";
  // From the last one on the chain is as long as it can be.
  std::string backward = "services:\n";
  for (int i = 2000; i > 0; --i)
    backward += "  s" + std::to_string(i) + ": {extends: s" + std::to_string(i - 1) + "}\n";
  EXPECT_EQ(problems(load(chain)), "");
  EXPECT_TRUE(contains(problems(load(backward + "  s0: {image: x}\n")),
                       "more than 100 services extend each other"));
  std::string many = "services:\n  s0: {image: x, cap_add: [a0";
  for (int i = 1; i < 5000; ++i) many += ", a" + std::to_string(i);
  many += "]}\n";
  for (int i = 1; i < 1000; ++i) many += "  s" + std::to_string(i) + ": {extends: s0}\n";
  EXPECT_TRUE(contains(problems(load(many)), "more than 1000000 values in all files"));
}

TEST(ComposeExtends, WhatIsNotThereIsNamed) {
  EXPECT_TRUE(contains(problems(load("services: {web: {extends: {service: bse}}, base: {image: "
                                     "x}}")),
                       "there is no service \"bse\" in /p/compose.yaml (did you mean `base`?)"));
  const std::string told =
      problems(load("services:\n  a: {extends: {file: 1.yaml, service: x}}\n"
                    "  b: {extends: {file: 2.yaml, service: x}}\n"));
  EXPECT_TRUE(contains(told, "/p/1.yaml does not exist")) << told;
  EXPECT_TRUE(contains(told, "/p/2.yaml does not exist")) << told;
}

TEST(ComposeInclude, HasAFolderAndAnEnvFileOfItsOwn) {
  Files files{{{"/p/compose.yaml",
                "include: [sub/compose.yaml, {path: [other/a.yaml, other/b.yaml], "
                "project_directory: third, env_file: x.env}]\n"
                "services: {a: {image: x, depends_on: [s]}}"},
               {"/p/.env", "TOP=top\nBOTH=top\n"},
               {"/p/x.env", "X=x\n"},
               {"/p/sub/.env", "SUB=sub\nBOTH=sub\n"},
               {"/p/sub/compose.yaml",
                "services: {s: {image: \"$TOP$SUB$BOTH$X\", volumes: [\"./d:/d\"], "
                "environment: [SUB]}}"},
               {"/p/other/a.yaml", "services: {o: {image: \"a$X\", env_file: e.env}}"},
               {"/p/other/b.yaml", "services: {o: {image: \"b$X\"}}"},
               {"/p/third/e.env", "E=e\n"}}};
  const Project project = load(files);
  EXPECT_EQ(at(project, "services/s/image"), "\"topsubtop\"");
  EXPECT_EQ(at(project, "services/s/environment"), R"({"SUB":"sub"})");
  EXPECT_EQ(at(project, "services/s/volumes"),
            R"([{"type":"bind","source":"/p/sub/d","target":"/d","bind":{}}])");
  EXPECT_EQ(at(project, "services/o/image"), "\"bx\"");
  EXPECT_EQ(at(project, "services/o/environment"), R"({"E":"e"})");
}

TEST(ComposeInclude, LocalKeysWinAndExtendsSeesWhatIsIncluded) {
  Files files{
      {{"/p/compose.yaml", "include: [i.yaml]\nservices: {s: {user: local}, t: {extends: s}}"},
       {"/p/i.yaml", "services: {s: {image: x, user: other}}"}}};
  EXPECT_EQ(at(load(files), "services/s/user"), "\"local\"");
  EXPECT_EQ(at(load(files), "services/t/image"), "\"x\"");
}

TEST(ComposeInclude, CyclesAndMissingFilesAreTold) {
  Files files{{{"/p/compose.yaml", "include: [i.yaml]\nservices: {}"},
               {"/p/i.yaml", "include: [compose.yaml]\nservices: {}"}}};
  EXPECT_TRUE(contains(problems(load(files)),
                       "files include each other: /p/compose.yaml → /p/i.yaml → /p/compose.yaml"));
  const std::string told = problems(
      load("include:\n  - 1.yaml\n  - {path: 2.yaml, env_file: 3.env}\nservices: {a: {image: x}}"));
  for (const char* name : {"/p/1.yaml", "/p/2.yaml", "/p/3.env"})
    EXPECT_TRUE(contains(told, name)) << told;
  files.texts.clear();
  for (int i = 0; i < 200; ++i)
    files.texts["/p/" + std::to_string(i) + ".yaml"] =
        "include: [" + std::to_string(i + 1) + ".yaml]\nservices: {}";
  files.texts["/p/compose.yaml"] = "include: [0.yaml]\nservices: {}";
  EXPECT_TRUE(contains(problems(load(files)), "more than 100 files include each other"));
  EXPECT_TRUE(contains(problems(load("include: [\"https://x/y.yaml\"]\nservices: {}")),
                       "files of other machines are not fetched"));
}

}  // namespace
}  // namespace locald::project::compose
