// The project file: TOML front, checks, interpolation, env files, resolution.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <map>

#include "base/fs_at.h"
#include "base/signals.h"
#include "server/dotenv.h"
#include "server/interpolation.h"
#include "server/project_check.h"
#include "server/resolve.h"
#include "server/runtime_launcher.h"
#include "server/toml_front.h"
#include "server/units.h"

namespace locald::server {
namespace {

Problems problems_of(std::string_view text) {
  ParsedProject parsed = parse_project_toml(text, "/p/locald.toml");
  if (parsed.problems.empty() || !parsed.spec.services.empty())
    check_project(parsed.spec, parsed.problems);
  return parsed.problems;
}

/// "LINE: message (hint)" of the only problem.
std::string only_problem(std::string_view text) {
  const Problems p = problems_of(text);
  if (p.size() != 1) return std::to_string(p.size()) + " problems: " + describe(p);
  return std::to_string(p[0].at.line) + ": " + p[0].message +
         (p[0].hint.empty() ? "" : " (" + p[0].hint + ")");
}

ProjectSpec spec_of(std::string_view text) {
  ParsedProject parsed = parse_project_toml(text, "/p/locald.toml");
  check_project(parsed.spec, parsed.problems);
  EXPECT_EQ(describe(parsed.problems), "");
  return parsed.spec;
}

TEST(TomlFront, ReadsEveryKeyOfTheDesign) {
  const ProjectSpec spec = spec_of(R"(
[project]
name = "shop"
[services.web]
command = "npm run dev"
workdir = "web"
port = "auto"
env = { DATABASE_URL = "postgres://postgres@${services.db.host}:${services.db.port}/shop", N = 3, B = true }
env_file = [".env"]
depends_on = { db = "healthy" }
health = { http = "/healthz", interval = "2s", timeout = "1s", retries = 3, start_period = "10s" }
restart = { policy = "on-failure", max = 5, window = "1m" }
stop_signal = "SIGINT"
stop_timeout = "1m30s"
network = "host"
[services.db]
type = "container"
image = "postgres:15"
pull = "never"
command = ["postgres", "-c", "fsync=off"]
container_port = 5432
volumes = ["data:/var/lib/postgresql/data", "./seed:/seed:ro"]
tmpfs = ["/run:size=1m"]
user = "postgres"
memory = "512m"
cpus = 1.5
pids = 512
init = true
tty = false
health = { tcp = true }
)");
  ASSERT_EQ(spec.services.size(), 2u);
  const ServiceSpec& web = *spec.find("web");
  EXPECT_TRUE(web.command.shell);
  EXPECT_TRUE(web.auto_port);
  EXPECT_EQ(web.depends_on[0].condition, DependsCondition::healthy);
  EXPECT_EQ(web.health.kind, HealthSpec::Kind::http);
  EXPECT_EQ(web.health.start_period, Milliseconds(10000));
  EXPECT_EQ(web.restart.mode, RestartMode::on_failure);
  EXPECT_EQ(web.restart.max, 5);
  EXPECT_EQ(web.stop_signal, 2);
  EXPECT_EQ(web.stop_timeout, Milliseconds(90000));
  const std::map<std::string, Text> env(web.env.begin(), web.env.end());
  EXPECT_EQ(env.at("N").raw, "3");
  EXPECT_EQ(env.at("B").raw, "true");
  const ServiceSpec& db = *spec.find("db");
  EXPECT_EQ(db.kind, ServiceKind::container);
  EXPECT_FALSE(db.command.shell);
  EXPECT_EQ(db.command.words.size(), 3u);
  EXPECT_EQ(db.memory, 512u << 20);
  EXPECT_EQ(db.cpus, 1.5);
  EXPECT_EQ(db.pull, PullPolicy::never);
  EXPECT_TRUE(db.init);
  EXPECT_EQ(spec.dir, "/p");
}

TEST(TomlFront, ReadsAnAppWithItsProcessTypes) {
  const ProjectSpec spec = spec_of(R"(
[services.db]
command = "db"
port = 5432
health = { tcp = true }
[services.api]
type = "cnb"
path = "api"
builder = "oci:builder:1"
run_image = "oci:run:1"
pull = "always"
port = "auto"
health = "/healthz"
env = { A = "1", B = "app" }
depends_on = ["db"]
restart = "always"
args = ["--verbose"]
build = { env = { BP_NODE_VERSION = 22 }, bindings = { ca = "./certs" }, strict = true, timeout = "10m", host_ca = false, exec_env = "test" }
bindings = { mail = "./mail" }
dev = { sync = ["src/**", "./static/", "a/b", "src"] }
[services.api.processes.worker]
env = { B = "worker", C = "2" }
args = ["-n", "2"]
depends_on = { api = "started" }
health = { exec = "true" }
[services.api.processes.migrate]
process = "release"
once = true
)");
  ASSERT_EQ(spec.services.size(), 4u);
  const ServiceSpec& api = *spec.find("api");
  EXPECT_EQ(api.kind, ServiceKind::cnb);
  EXPECT_EQ(api.build.path.raw, "api");
  EXPECT_EQ(api.build.builder.raw, "oci:builder:1");
  EXPECT_EQ(api.build.run_image.raw, "oci:run:1");
  EXPECT_EQ(api.build.env.at(0).second.raw, "22");
  EXPECT_EQ(api.build.bindings.at(0).second.raw, "./certs");
  EXPECT_TRUE(api.build.strict);
  EXPECT_EQ(api.build.host_ca, false);
  EXPECT_EQ(api.build.exec_env.raw, "test");
  EXPECT_EQ(api.build.timeout, Milliseconds(600'000));
  ASSERT_EQ(api.build.live.size(), 3u);
  EXPECT_EQ(api.build.live[0].raw, "src");
  EXPECT_EQ(api.build.live[1].raw, "static");
  EXPECT_EQ(api.build.live[2].raw, "a/b");
  EXPECT_TRUE(api.init);
  EXPECT_TRUE(api.auto_port);
  // A process type is the same app, with its own port, health and arguments.
  const ServiceSpec& worker = *spec.find("api/worker");
  EXPECT_EQ(worker.process.raw, "worker");
  EXPECT_EQ(worker.build.builder.raw, "oci:builder:1");
  EXPECT_FALSE(worker.has_port());
  EXPECT_EQ(worker.health.kind, HealthSpec::Kind::exec);
  EXPECT_EQ(worker.args.at(1).raw, "2");
  EXPECT_EQ(worker.restart.mode, RestartMode::always);
  std::map<std::string, std::string> env;
  for (const auto& [name, text] : worker.env) env[name] = text.raw;
  EXPECT_EQ(env, (std::map<std::string, std::string>{{"A", "1"}, {"B", "worker"}, {"C", "2"}}));
  ASSERT_EQ(worker.depends_on.size(), 3u);
  EXPECT_EQ(worker.depends_on[0].service, "db");
  EXPECT_EQ(worker.depends_on[1].service, "api");
  EXPECT_EQ(worker.depends_on[2].service, "api/migrate");
  EXPECT_EQ(worker.depends_on[2].condition, DependsCondition::completed);
  // What runs once is over before the others start.
  EXPECT_EQ(spec.find("api/migrate")->process.raw, "release");
  EXPECT_EQ(spec.find("api/migrate")->restart.mode, RestartMode::no);
  EXPECT_EQ(spec.find("api/migrate")->depends_on.size(), 1u);
  EXPECT_EQ(api.depends_on.back().service, "api/migrate");
}

TEST(TomlFront, AnAppSaysWhatItCannotHave) {
  const std::string app = "[services.a]\ntype = 'cnb'\nbuilder = 'b'\n";
  EXPECT_EQ(only_problem(app + "image = 'x'\n"),
            "4: `image` is for type = \"container\": an app's image is built");
  EXPECT_EQ(only_problem(app + "container_port = 80\n"),
            "4: `container_port` is for type = \"container\": say `port`, and the app gets it as "
            "PORT");
  EXPECT_EQ(only_problem(app + "workdir = 'x'\n"), "4: `workdir` is for type = \"container\"");
  EXPECT_EQ(only_problem(app + "process = 'web'\ncommand = 'x'\n"),
            "4: `process` is not used where there is a `command` (one of the two must go)");
  EXPECT_EQ(
      only_problem(app + "dev = { sync = ['**'] }\n"),
      "4: `sync`: \"**\" does not name a folder of the app (the app's whole folder would hide "
      "what buildpacks put there; name those below it: \"src/**\")");
  EXPECT_EQ(only_problem(app + "dev = { sync = ['../x'] }\n"),
            "4: `sync`: \"../x\" does not name a folder of the app (a folder with all that is in "
            "it: \"src/**\")");
  EXPECT_NE(only_problem(app + "dev = { sync = ['src/*.js'] }\n").find("does not name a folder"),
            std::string::npos);
  EXPECT_EQ(only_problem(app + "build = { enw = {} }\n"),
            "4: unknown key `enw` in `build` (did you mean `env`?)");
  EXPECT_EQ(only_problem(app + "build = { bindings = { 'a/b' = '.' } }\n"),
            "4: `bindings`: \"a/b\" cannot be the name of a binding");
  EXPECT_EQ(
      only_problem(app + "processes = ['Web']\n"),
      "4: \"a/Web\" cannot be the name of a service (a service of your own naming can run any "
      "process type: [services.APP.processes.NAME] with process = \"TYPE\")");
  EXPECT_EQ(only_problem(app + "[services.a.processes.w]\nbuilder = 'x'\n"),
            "5: `builder` is the app's: it stands in [services.a]");
  EXPECT_EQ(only_problem("[services.a]\ncommand = 'x'\nprocesses = ['w']\n"),
            "3: `processes` is for type = \"cnb\"");
}

TEST(TomlFront, AnUnknownKeyIsNamedWithItsLineAndTheOneThatWasMeant) {
  EXPECT_EQ(only_problem("[services.a]\ncommand = 'x'\nworkdri = 'y'\n"),
            "3: unknown key `workdri` in [services.a] (did you mean `workdir`?)");
  EXPECT_EQ(
      only_problem(
          "[services.a]\ncommand = 'x'\nhealth = { http = '/', intervall = '1s' }\nport = 1\n"),
      "3: unknown key `intervall` in `health` (did you mean `interval`?)");
  EXPECT_NE(only_problem("[service.a]\ncommand = 'x'\n[services.b]\ncommand = 'x'\n")
                .find("did you mean `services`?"),
            std::string::npos);
}

TEST(TomlFront, AllProblemsAreFoundAtOnceInTheOrderOfTheFile) {
  const Problems p = problems_of(
      "[services.b]\ncommand = 3\nprot = 1\n[services.a]\ncommand = 'x'\nstop_timeout = '10 "
      "parsecs'\n");
  ASSERT_EQ(p.size(), 3u) << describe(p);
  EXPECT_EQ(p[0].at.line, 2u);
  EXPECT_EQ(p[1].at.line, 3u);
  EXPECT_EQ(p[2].at.line, 6u);
}

TEST(TomlFront, WhatIsNotActedOnYetIsRefusedByName) {
  EXPECT_NE(
      only_problem("[services.a]\ncommand = 'x'\nnetwork = 'none'\n").find("not supported yet"),
      std::string::npos);
  EXPECT_EQ(only_problem("[services.a]\ncommand = 'x'\nimage = 'y'\n"),
            "3: `image` is for type = \"container\"");
  EXPECT_EQ(only_problem("[services.a]\ncommand = 'x'\ninit = true\n"),
            "3: `init` is for type = \"container\" and \"cnb\"");
  EXPECT_EQ(only_problem("[services.a]\ntype = 'container'\nimage = 'y'\ninit = 1\n"),
            "4: `init` must be true or false, not a number");
}

TEST(TomlFront, BrokenTomlNamesItsLine) {
  EXPECT_EQ(only_problem("[services.a]\ncommand = \n").substr(0, 11), "2: not TOML");
}

TEST(TomlFront, ATextMadeToKillTheParserIsAProblem) {
  std::string key = "a";
  for (int i = 0; i < 200000; ++i) key += ".a";
  EXPECT_EQ(only_problem(key + " = 1"), "1: not TOML: tables and arrays nest more than 64 deep");
  EXPECT_EQ(only_problem("[[ ["),
            "1: not TOML: Error while parsing key: expected bare key starting character or string "
            "delimiter, saw '['");
}

TEST(ProjectCheck, ACycleIsShownAsAPath) {
  EXPECT_EQ(only_problem("[services.c]\ncommand='x'\ndepends_on=['a']\n[services.a]\ncommand='x'"
                         "\ndepends_on=['b']\n[services.b]\ncommand='x'\ndepends_on=['c']\n"),
            "6: services depend on each other in a cycle: a -> b -> c -> a (one of these "
            "`depends_on` must go)");
  EXPECT_NE(only_problem("[services.a]\ncommand='x'\ndepends_on=['a']\n").find("a -> a"),
            std::string::npos);
}

TEST(ProjectCheck, WhatCanNeverBeMetIsRefused) {
  EXPECT_NE(only_problem(
                "[services.a]\ncommand='x'\ndepends_on={b='healthy'}\n[services.b]\ncommand='x'\n")
                .find("has no `health`"),
            std::string::npos);
  EXPECT_NE(only_problem("[services.a]\ncommand='x'\ndepends_on={b='completed'}\n[services.b]"
                         "\ncommand='x'\nrestart='always'\n")
                .find("always restarted"),
            std::string::npos);
  EXPECT_EQ(
      only_problem("[services.a]\ncommand='x'\ndepends_on=['web1']\n[services.web]\ncommand='x'\n"),
      "3: `depends_on`: there is no service 'web1' (did you mean 'web'?)");
}

TEST(ProjectCheck, PortsMustBeOnesOwn) {
  EXPECT_NE(only_problem("[services.a]\ncommand='x'\nport=80\n[services.b]\ncommand='x'\nport=80\n")
                .find("two services, a and b"),
            std::string::npos);
  EXPECT_NE(
      only_problem("[services.a]\ntype='container'\nimage='i'\nport=80\ncontainer_port=8080\n")
          .find("differ"),
      std::string::npos);
  EXPECT_NE(only_problem("[services.a]\ncommand='x'\nhealth='/'\n").find("has none"),
            std::string::npos);
  EXPECT_NE(
      only_problem("[services.a]\ncommand='x ${services.b.port}'\n[services.b]\ncommand='x'\n")
          .find("b has no port"),
      std::string::npos);
}

TEST(ProjectCheck, NamesFollowTheRule) {
  EXPECT_TRUE(valid_name("a") && valid_name("0-_9") && valid_name(std::string(63, 'a')));
  EXPECT_FALSE(valid_name("") || valid_name("-a") || valid_name("A") || valid_name("a.b") ||
               valid_name("a/b") || valid_name(std::string(64, 'a')));
  EXPECT_NE(only_problem("[services.'A B']\ncommand='x'\n").find("\"A B\" cannot be the name"),
            std::string::npos);
}

TEST(Graph, WithDependenciesTakesAllThatIsNeeded) {
  ServiceGraph g;
  g.add("lone");
  g.add_edge("web", "api");
  g.add_edge("api", "db");
  EXPECT_EQ(g.with_dependencies({"web"}), (std::set<std::string>{"web", "api", "db"}));
  EXPECT_EQ(g.dependents("db"), (std::set<std::string>{"api"}));
  EXPECT_TRUE(g.cycle().empty());
}

std::string expand(std::string_view text, std::map<std::string, std::string> vars = {}) {
  Lookup lookup;
  lookup.variable = [&](const std::string& n) {
    return vars.contains(n) ? std::optional(vars[n]) : std::nullopt;
  };
  lookup.service = [](const std::string& s, const std::string& f) -> Result<std::string> {
    return s + "." + f + "!";
  };
  auto r = interpolate(text, lookup);
  return r ? *r : "error: " + r.error().message();
}

TEST(Interpolation, KnowsTheFormsOfCompose) {
  const std::map<std::string, std::string> v{{"A", "1"}, {"E", ""}};
  EXPECT_EQ(expand("x${A}y", v), "x1y");
  EXPECT_EQ(expand("${E:-d}${E-d}${U:-d}${U-d}", v), "ddd");
  EXPECT_EQ(expand("${A:+y}${E:+y}${E+y}${U+y}", v), "yy");
  EXPECT_EQ(expand("${U:-${A}${U:-z}}", v), "1z");
  EXPECT_EQ(expand("$$A $${A} $A $ $1", v), "$A ${A} $A $ $1");
  EXPECT_EQ(expand("${services.db.port}"), "db.port!");
  EXPECT_EQ(expand("${U}"), "");
}

TEST(Interpolation, SaysWhatIsWrong) {
  EXPECT_EQ(expand("${U:?give me one}"), "error: U is not set: give me one");
  EXPECT_NE(expand("${A").find("has no }"), std::string::npos);
  EXPECT_NE(expand("${}").find("not the name"), std::string::npos);
  EXPECT_NE(expand("${A!}").find(":-default"), std::string::npos);
  EXPECT_NE(expand("${services.db.prot}").find("host, port and url"), std::string::npos);
}

TEST(Dotenv, FollowsTheRulesOfCompose) {
  Problems problems;
  const auto entries = parse_dotenv(
      "\xef\xbb\xbf# comment\r\n"
      "PLAIN=a b # comment\n"
      "HASH=a#b\n"
      "export EXPORTED = x\n"
      "EMPTY=\n"
      "LITERAL='a $PLAIN # \\' c'\n"
      "DOUBLE=\"${PLAIN}\\n\\\"q\\\" \\$X\"\n"
      "MULTI=\"one\ntwo\"\n"
      "YAML: y\n"
      "REF=$PLAIN-${HOST:-none}\n"
      "FROM_ENV\n"
      "NOT_SET\n",
      "/f/.env",
      [](const std::string& n) {
        return n == "FROM_ENV" ? std::optional<std::string>("env") : std::nullopt;
      },
      problems);
  EXPECT_EQ(describe(problems), "");
  std::map<std::string, std::string> got;
  for (const auto& e : entries) got[e.name] = e.value.value_or("<unset>");
  EXPECT_EQ(got, (std::map<std::string, std::string>{{"PLAIN", "a b"},
                                                     {"HASH", "a#b"},
                                                     {"EXPORTED", "x"},
                                                     {"EMPTY", ""},
                                                     {"LITERAL", "a $PLAIN # ' c"},
                                                     {"DOUBLE", "a b\n\"q\" $X"},
                                                     {"MULTI", "one\ntwo"},
                                                     {"YAML", "y"},
                                                     {"REF", "a b-none"},
                                                     {"FROM_ENV", "env"},
                                                     {"NOT_SET", "<unset>"}}));
}

TEST(Dotenv, NamesTheLineOfWhatItCannotRead) {
  Problems problems;
  parse_dotenv("A=1\n1B=2\nC=\"open\n", "/f/.env", {}, problems);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].at.line, 2u);
  EXPECT_EQ(problems[1].at.line, 3u);
}

TEST(Dotenv, CrLfIsOneEndOfALineWhereverItStands) {
  const std::string lines =
      "A=1\nKEY=\"-----BEGIN\nMIIE\n-----END\"\nS='one\ntwo'\nU=plain # "
      "c\nE=\nESC=\"a\\r\\n\"\nB\n";
  std::string dos;
  for (const char c : lines) dos += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const auto read = [](const std::string& text) {
    Problems problems;
    std::map<std::string, std::string> out;
    for (const auto& e : parse_dotenv(text, "/f", {}, problems))
      out[e.name] = std::to_string(e.line) + " " + e.value.value_or("<unset>");
    EXPECT_EQ(describe(problems), "");
    return out;
  };
  EXPECT_EQ(read(dos), read(lines));
  EXPECT_EQ(read(dos).at("KEY"), "2 -----BEGIN\nMIIE\n-----END");
  EXPECT_EQ(read(dos).at("ESC"), "9 a\r\n");
}

TEST(Dotenv, WhatGrowsOutOfItselfIsBounded) {
  std::string bomb = "A0=xxxxxxxxxxxxxxxx\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "A" + std::to_string(i) + "=";
    for (int j = 0; j < 10; ++j) bomb += "${A" + std::to_string(i - 1) + "}";
    bomb += "\n";
  }
  Problems problems;
  const auto entries = parse_dotenv(bomb, "/f", {}, problems);
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems[0].at.line, 5u) << describe(problems);  // 160 KB
  EXPECT_NE(problems[0].message.find("128 KiB"), std::string::npos);
  std::size_t bytes = 0;
  for (const auto& e : entries) bytes += e.value->size();
  EXPECT_LE(bytes, kMaxServiceText);
  // Many values below the limit of one.
  std::string many = "A=" + std::string(100000, 'x') + "\n";
  for (int i = 0; i < 1000; ++i) many += "B" + std::to_string(i) + "=$A\n";
  problems.clear();
  std::size_t room = kMaxServiceText;
  parse_dotenv(many, "/f", {}, problems, &room);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].at.line, 21u);
  EXPECT_NE(problems[0].message.find("2 MiB"), std::string::npos);
  EXPECT_EQ(room, 0u);
  // A value that nothing expands, and a file of nothing but problems.
  problems.clear();
  parse_dotenv("A='" + std::string(200000, 'x') + "'\nB=1\n", "/f", {}, problems);
  ASSERT_EQ(problems.size(), 1u);
  std::string wrong;
  for (int i = 0; i < 100000; ++i) wrong += "!\n";
  problems.clear();
  parse_dotenv(wrong, "/f", {}, problems);
  EXPECT_EQ(problems.size(), kMaxProblems);
}

TEST(Interpolation, AValueIsBoundedBeforeItHasGrown) {
  const std::map<std::string, std::string> v{{"BIG", std::string(100000, 'y')}};
  std::string many;
  for (int i = 0; i < 100000; ++i) many += "${BIG}";
  for (const std::string& text :
       {many, std::string("${BIG}${BIG}"), std::string("${U:-${BIG}${BIG}}"),
        std::string("${BIG:+${BIG}${BIG}}"), std::string(200000, 'x'), std::string(400000, '$')})
    EXPECT_EQ(expand(text, v), "error: the value grows beyond 128 KiB") << text.substr(0, 40);
  EXPECT_EQ(expand("${BIG}", v).size(), 100000u);
  EXPECT_EQ(expand(std::string(kMaxValue, 'x')).size(), kMaxValue);
}

TEST(TomlFront, NamesOfOtherToolsLeadToOurs) {
  const auto hint = [](const std::string& line, const std::string& head = "command = 'x'\n") {
    const Problems p = problems_of("[services.a]\n" + head + line + "\n");
    return p.size() == 1 ? p[0].hint : describe(p);
  };
  EXPECT_EQ(hint("environment = { A = 'b' }"), "here it is `env`");
  EXPECT_EQ(hint("stop_grace_period = '1s'"), "here it is `stop_timeout`");
  EXPECT_EQ(hint("cwd = 'x'"), "here it is `workdir`");
  EXPECT_EQ(hint("working_dir = 'x'"), "here it is `workdir`");
  EXPECT_EQ(hint("mem_limit = '1g'", "type = 'container'\nimage = 'i'\n"), "here it is `memory`");
  EXPECT_EQ(hint("mem_limit = '1g'"), "here it is `memory`") << "which then says where it belongs";
  EXPECT_EQ(hint("healthcheck = {}"), "here it is `health`");
  EXPECT_EQ(hint("health = { test = 'x', tcp = 1 }"), "here it is `exec`");
  EXPECT_EQ(hint("restart = { policy = 'always', max_attempts = 3 }"), "here it is `max`");
  EXPECT_EQ(hint("[volumes]\ndata = {}"),
            "a volume needs no declaration: name it in a service's `volumes`");
  EXPECT_EQ(hint("[project]\nenv_file = '.env'"), "it stands in each service's table");
}

TEST(TomlFront, AFileOfProblemsOrServicesIsBounded) {
  std::string text;
  for (int i = 0; i < 20000; ++i)
    text += "[services.a" + std::to_string(i) + "]\ncommand='x'\ndepends_on=['b']\n";
  EXPECT_EQ(only_problem(text), "1: the file names 20000 services; a project has at most 1000");
  text = "[services.a]\ntype='cnb'\nbuilder='b'\nenv={A='" + std::string(100000, 'x') +
         "'}\nprocesses=[";
  for (int i = 0; i < 50000; ++i) text += "'p" + std::to_string(i) + "',";
  EXPECT_EQ(only_problem(text + "]\n"), "5: `processes` names more than 100 process types");
  text = "[services.a]\ncommand='x'\n";
  for (int i = 0; i < 20000; ++i) text += "k" + std::to_string(i) + " = 1\n";
  EXPECT_EQ(problems_of(text).size(), kMaxProblems);
}

TEST(Units, DurationsSizesAndSignals) {
  EXPECT_EQ(parse_duration("1m30s").value().count(), 90000);
  EXPECT_EQ(parse_duration("200ms").value().count(), 200);
  EXPECT_EQ(parse_duration("0s").value().count(), 0);
  for (const char* bad : {"", "1", "s", "1s1m", "1.5s", "-1s", "1 s", "99999999999999999999s"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
  EXPECT_EQ(parse_size("1g").value(), 1u << 30);
  EXPECT_EQ(parse_size("64KB").value(), 64u << 10);
  EXPECT_EQ(parse_size("10").value(), 10u);
  for (const char* bad : {"", "m", "1x", "-1", "99999999999t"})
    EXPECT_FALSE(parse_size(bad)) << bad;
  EXPECT_EQ(parse_signal("sigterm").value(), 15);
  EXPECT_EQ(parse_signal("9").value(), 9);
  EXPECT_FALSE(parse_signal("SIGWHAT"));
}

class ResolveTest : public testing::Test {
 protected:
  ResolveTest() {
    char name[] = "/tmp/locald-resolve-XXXXXX";
    dir = ::mkdtemp(name);
  }
  ~ResolveTest() override { (void)remove_tree(dir); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(dir + "/" + name) << text;
  }
  Resolved run(const std::string& text, std::map<std::string, std::string> env = {}) {
    ParsedProject parsed = parse_project_toml(text, dir + "/locald.toml");
    check_project(parsed.spec, parsed.problems);
    EXPECT_EQ(describe(parsed.problems), "");
    const UserContext user{std::move(env), 022, {}};
    const std::map<std::string, int> ports{{"web", 4000}};
    return resolve({parsed.spec, "shop", user, ports, paths(), {}});
  }
  Paths paths() const {
    return Paths::from_env(
               [&](const std::string& n) {
                 return n == "LOCALD_HOME" ? std::optional(dir) : std::nullopt;
               },
               1000)
        .value();
  }
  std::string dir;
};

TEST_F(ResolveTest, EnvironmentsAreLayeredAndPortsGiven) {
  write("a.env", "A=file\nB=file\nGONE\n");
  write("b.env", "B=second\n");
  const Resolved r =
      run("[services.web]\ncommand='x'\nport='auto'\nenv={A='own ${WHO}', "
          "U='${services.web.url}'}\nenv_file=['a.env','b.env']\n",
          {{"WHO", "me"}});
  ASSERT_EQ(describe(r.problems), "");
  const ServiceConfig& c = r.services.at("web");
  EXPECT_EQ(
      c.env,
      (std::map<std::string, std::string>{
          {"A", "own me"}, {"B", "second"}, {"PORT", "4000"}, {"U", "http://127.0.0.1:4000"}}));
  EXPECT_EQ(c.unset, std::vector<std::string>{"GONE"});
  EXPECT_EQ(c.argv, (std::vector<std::string>{"sh", "-c", "x"}));
  EXPECT_EQ(c.cwd, dir);
}

TEST_F(ResolveTest, APlainDependencyMeansHealthyWhereThereIsACheck) {
  const Resolved r =
      run("[services.a]\ncommand='x'\ndepends_on=['b','c']\n[services.b]\ncommand='x'\nhealth={"
          "exec='true'}\n[services.c]\ncommand='x'\n");
  EXPECT_EQ(r.services.at("a").depends_on[0].condition, DependsCondition::healthy);
  EXPECT_EQ(r.services.at("a").depends_on[1].condition, DependsCondition::started);
}

TEST_F(ResolveTest, AnUnsetVariableIsAProblemThatNamesTheWaysOut) {
  const Resolved r =
      run("[services.a]\nenv={A='${ALSO}${ALSO}'}\ncommand='x ${NOPE} ${FINE:-} $SHELLS'\n"
          "health={tcp='${PORTLESS}'}\n");
  ASSERT_EQ(r.problems.size(), 3u) << describe(r.problems);
  EXPECT_EQ(r.problems[0].message, "${ALSO} is not set");
  EXPECT_EQ(r.problems[0].at.line, 2u);
  EXPECT_NE(r.problems[0].hint.find("${ALSO:-}"), std::string::npos);
  EXPECT_EQ(r.problems[0].hint.find("$${ALSO}"), std::string::npos);
  EXPECT_EQ(r.problems[1].message, "${PORTLESS} is not set") << "and no word of the missing port";
  EXPECT_EQ(r.problems[2].message, "${NOPE} is not set");
  EXPECT_NE(r.problems[2].hint.find("$NOPE or $${NOPE}"), std::string::npos);
}

TEST_F(ResolveTest, WhatIsNotTakenNeedsNoVariable) {
  const Resolved r =
      run("[services.a]\ncommand='${A:-${NOPE}}${U:+${NOPE}}${A:-${NOPE:?no}}'\n", {{"A", "a"}});
  EXPECT_EQ(describe(r.problems), "");
  EXPECT_EQ(r.services.at("a").argv[2], "aa");
  EXPECT_FALSE(r.capture.contains("NOPE"));
  EXPECT_NE(only_problem("[services.a]\ncommand='${A:-${NOPE!}}'\n").find(":-default"),
            std::string::npos)
      << "a bad form is found before it bites";
}

TEST_F(ResolveTest, ADollarThatVanishesInAnEnvFileIsToldOnceAName) {
  write("a.env", "ONE=1\nPW=\"abc$def\"\nHASH=$2a$08$qFFehmq\nLITERAL='a$b'\nTWO=${def}$$x\n");
  const Resolved r = run(
      "[services.a]\ncommand='x'\nenv_file='a.env'\n[services.b]\ncommand='x'\nenv_file='a.env'\n");
  EXPECT_EQ(describe(r.problems), "");
  EXPECT_EQ(r.services.at("a").env.at("PW"), "abc");
  EXPECT_EQ(r.services.at("a").env.at("LITERAL"), "a$b");
  ASSERT_EQ(r.notices.size(), 2u);
  EXPECT_EQ(r.notices[0].second.substr(0, (dir + "/a.env:2: PW: $def ").size()),
            dir + "/a.env:2: PW: $def ");
  EXPECT_NE(r.notices[0].second.find("single quotes"), std::string::npos);
  EXPECT_NE(r.notices[1].second.find(":3: HASH: $qFFehmq "), std::string::npos);
}

TEST_F(ResolveTest, BindsMustExistAndNotBeOurs) {
  ASSERT_TRUE(make_dirs(dir + "/run/svc"));
  const auto volume = [&](const std::string& v) {
    return describe(
        run("[services.a]\ntype='container'\nimage='i'\nvolumes=['" + v + "']\n").problems);
  };
  EXPECT_EQ(volume("data:/d"), "");
  EXPECT_NE(volume("./missing:/m").find("does not exist"), std::string::npos);
  for (const char* ours : {"./run:/m", "./run/svc:/m", ".:/m", "/:/m"})
    EXPECT_NE(volume(ours).find("where locald keeps its own files"), std::string::npos) << ours;
  for (const char* bad : {"data:relative", "data:/a/../b", "BAD:/x", "a:/b:rx", "data:/"})
    EXPECT_NE(volume(bad), "") << bad;
}

TEST_F(ResolveTest, SuffixesOfVolumesAreTakenAndTheLongFormHasPathsWithColons) {
  ASSERT_TRUE(make_dirs(dir + "/a:b"));
  ASSERT_TRUE(make_dirs(dir + "/d"));
  const auto one = [&](const std::string& volume) {
    return run("[services.a]\ntype='container'\nimage='i'\nvolumes=[" + volume + "]\n");
  };
  for (const char* suffix :
       {"z", "Z", "U", "cached", "delegated", "consistent", "nocopy", "rw,z"}) {
    const Resolved r = one("'./d:/d:" + std::string(suffix) + "'");
    EXPECT_EQ(describe(r.problems), "") << suffix;
    ASSERT_EQ(r.notices.size(), 1u) << suffix;
    EXPECT_NE(r.notices[0].second.find("has no effect"), std::string::npos);
    EXPECT_EQ(r.services.at("a").to_json().dump(),
              one("'./d:/d'").services.at("a").to_json().dump());
  }
  EXPECT_TRUE(one("'./d:/d:ro,Z'").services.at("a").volumes[0].read_only);
  const Resolved colon =
      one("{ source = './a:b', target = '/d', read_only = true }, { source = 'v', target = '/v' }, "
          "{ target = '/anonymous' }");
  EXPECT_EQ(describe(colon.problems), "");
  const auto& volumes = colon.services.at("a").volumes;
  ASSERT_EQ(volumes.size(), 3u);
  EXPECT_EQ(volumes[0].source, dir + "/a:b");
  EXPECT_TRUE(volumes[0].read_only);
  EXPECT_EQ(volumes[1].kind, VolumeConfig::Kind::named);
  EXPECT_EQ(volumes[2].kind, VolumeConfig::Kind::anonymous);
  EXPECT_NE(describe(one("'./a:b:/d'").problems).find("{ source = \"./a:b\", target"),
            std::string::npos);
  EXPECT_NE(describe(one("'./d:/d:zz'").problems).find("unknown option \"zz\""), std::string::npos);
  EXPECT_NE(describe(problems_of("[services.a]\ntype='container'\nimage='i'\n"
                                 "volumes=[{ source='x', targte='/d' }, 3]\n"))
                .find("did you mean `target`"),
            std::string::npos);
}

TEST_F(ResolveTest, WhatTheFileAloneCanTellOfAStartIsTold) {
  const auto wrong = [&](const std::string& text) { return describe(run(text).problems); };
  const std::string container = "[services.a]\ntype='container'\n";
  EXPECT_NE(wrong(container + "image='Not An Image'\n").find("locald.toml:3:7: image: "),
            std::string::npos);
  EXPECT_NE(wrong(container + "image='i'\ntmpfs=['rel']\n").find(":4:8: tmpfs \"rel\""),
            std::string::npos);
  EXPECT_NE(wrong(container + "image='i'\ntmpfs=['/r:mode=1']\n").find("not supported yet"),
            std::string::npos);
  EXPECT_NE(wrong(container + "image='i'\nvolumes=['v:/proc/x']\n").find(":4:10: mount at /proc/x"),
            std::string::npos);
  EXPECT_NE(wrong(container + "image='i'\nworkdir='/a/../b'\n").find("workdir"), std::string::npos);
  EXPECT_NE(wrong(container + "image='i'\nmemory='1m'\n").find("at least 6m"), std::string::npos);
  EXPECT_NE(wrong("[services.a]\ncommand='x'\nworkdir='nowhere'\n")
                .find(":3:9: workdir " + dir + "/nowhere is not there"),
            std::string::npos);
  EXPECT_NE(wrong("[services.a]\ntype='cnb'\npath='nowhere'\nbuilder='b'\n")
                .find(":3:6: the app's folder: " + dir + "/nowhere"),
            std::string::npos);
  EXPECT_NE(wrong("[services.a]\ntype='cnb'\nbuilder='B B'\n").find(":3:9: builder: "),
            std::string::npos);
}

TEST_F(ResolveTest, AServiceAndAProjectHaveTheirBounds) {
  std::map<std::string, std::string> env{{"BIG", std::string(100000, 'y')}};
  std::string text = "[services.a]\ncommand='x'\nenv={";
  for (int i = 0; i < 100; ++i) text += "A" + std::to_string(i) + "='${BIG}',";
  text.back() = '}';
  Resolved r = run(text + "\n", env);
  ASSERT_EQ(r.problems.size(), 1u) << describe(r.problems);
  EXPECT_NE(r.problems[0].message.find("a: its values grow beyond 2 MiB"), std::string::npos);
  EXPECT_EQ(r.problems[0].at.line, 3u);
  write("big.env", "A=" + std::string(100000, 'x') + "\n");
  text = "[services.a]\ncommand='x'\nenv_file=[";
  for (int i = 0; i < 1000; ++i) text += "'big.env',";
  r = run(text + "]\n");
  ASSERT_EQ(r.problems.size(), 1u) << describe(r.problems);
  EXPECT_EQ(r.problems[0].file, dir + "/big.env");
  text.clear();
  write(
      "mib.env", "A=" + std::string(120000, 'x') + "\n" + [] {
        std::string more;
        for (int i = 0; i < 14; ++i) more += "B" + std::to_string(i) + "=$A\n";
        return more;
      }());
  for (int i = 0; i < 100; ++i)
    text += "[services.s" + std::to_string(i) + "]\ncommand='x'\nenv_file='mib.env'\n";
  r = run(text);
  ASSERT_FALSE(r.problems.empty());
  EXPECT_NE(describe(r.problems).find("those of a project"), std::string::npos);
}

TEST_F(ResolveTest, ALongEnvFileTakesLinearTime) {
  std::string names;
  for (int i = 0; i < 60000; ++i) names += "N" + std::to_string(i) + "\n";
  write("a.env", names + names);
  const auto before = std::chrono::steady_clock::now();
  const Resolved r = run("[services.a]\ncommand='x'\nenv_file='a.env'\n");
  (void)r.services.at("a").to_json().dump();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

TEST_F(ResolveTest, HealthTargetsAreReadOnce) {
  const Resolved r =
      run("[services.web]\ncommand='x'\nport='auto'\nhealth={http='http://web:8080/"
          "a?b=c'}\n[services.t]\ncommand='x'\nhealth={tcp='[::1]:9'}\n");
  ASSERT_EQ(describe(r.problems), "");
  EXPECT_EQ(r.services.at("web").health.host, "127.0.0.1");
  EXPECT_EQ(r.services.at("web").health.port, 8080);
  EXPECT_EQ(r.services.at("web").health.path, "/a?b=c");
  EXPECT_EQ(r.services.at("t").health.host, "::1");
  EXPECT_NE(describe(run("[services.t]\ncommand='x'\nhealth={tcp='example.com:80'}\n").problems),
            "");
}

TEST_F(ResolveTest, AConfigurationSurvivesJson) {
  const Resolved r =
      run("[services.a]\ntype='container'\nimage='i'\nvolumes=['d:/d:ro','/anon']\ntmpfs=['/"
          "run:size=1m']\ncpus=1.5\nmemory='1g'\n"
          "health={exec=['a','b'],interval='7s'}\nrestart={policy='always',max=3,window='2m'}"
          "\nstop_signal='QUIT'\n");
  const ServiceConfig& c = r.services.at("a");
  const auto text = c.to_json().dump();
  EXPECT_EQ(ServiceConfig::from_json(Json::parse(text).value()).value().to_json().dump(), text);
  EXPECT_EQ(redacted(c).dump().find("secret"), std::string::npos);
}

TEST_F(ResolveTest, WhereAnotherServiceIsReachedIsPutInOnceMoreAtEachStart) {
  const std::string file =
      "[services.web]\ncommand='x'\nport=8080\n"
      "[services.use]\ncommand=['curl','${services.web.url}/a']\n"
      "env={H='${services.web.host}',HP='${services.web.host}:${services.web.port}',"
      "P='${services.web.port}',U='x=${services.web.url}?b'}\n"
      "health={exec=['ask','${services.web.url}']}\n";
  const Resolved r = run(file);
  ASSERT_EQ(describe(r.problems), "");
  const ServiceConfig& use = r.services.at("use");
  EXPECT_EQ(use.argv.back(), "http://127.0.0.1:8080/a");
  EXPECT_EQ(use.env.at("HP"), "127.0.0.1:8080");
  EXPECT_EQ(use.to_json().dump().find("late"), std::string::npos)
      << "what is compared says no more than before";
  ServiceConfig read = ServiceConfig::from_json(use.to_json()).value();
  for (const LateText& late : use.late) read.late.push_back(LateText::from_json(late.to_json()));
  EXPECT_EQ(read.late, use.late);
  const auto known = [](const std::string& host) {
    return [host](const std::string& service) -> std::optional<std::string> {
      EXPECT_EQ(service, "web");
      return host.empty() ? std::nullopt : std::optional(host);
    };
  };
  EXPECT_EQ(with_endpoints(read, known("")).to_json().dump(), use.to_json().dump());
  EXPECT_EQ(with_endpoints(read, known("127.0.0.1")).to_json().dump(), use.to_json().dump());
  const ServiceConfig six = with_endpoints(read, known("::1"));
  EXPECT_EQ(six.argv.back(), "http://[::1]:8080/a");
  EXPECT_EQ(six.health.argv.back(), "http://[::1]:8080");
  EXPECT_EQ(six.env.at("H"), "::1");
  EXPECT_EQ(six.env.at("HP"), "[::1]:8080");
  EXPECT_EQ(six.env.at("P"), "8080");
  EXPECT_EQ(six.env.at("U"), "x=http://[::1]:8080?b");
}

TEST_F(ResolveTest, InitIsInTheConfigurationOnlyWhereItIsAskedFor) {
  const std::string file = "[services.a]\ntype='container'\nimage='i'\n";
  const ServiceConfig without = run(file).services.at("a"),
                      with = run(file + "init=true\n").services.at("a");
  EXPECT_EQ(without.to_json().dump(), run(file + "init=false\n").services.at("a").to_json().dump());
  EXPECT_EQ(without.to_json().dump().find("init"), std::string::npos)
      << "the writable folders of earlier versions keep their names";
  EXPECT_NE(without.to_json().dump(), with.to_json().dump());
  EXPECT_TRUE(ServiceConfig::from_json(with.to_json()).value().init);
  LaunchRequest request;
  request.config = std::make_shared<ServiceConfig>(with);
  EXPECT_TRUE(container_options(request)->init);
  request.config = std::make_shared<ServiceConfig>(without);
  EXPECT_FALSE(container_options(request)->init);
}

TEST_F(ResolveTest, ServicesThatBuildAFolderOtherwiseAreAppsOfTheirOwn) {
  ASSERT_TRUE(make_dirs(dir + "/app"));
  ASSERT_TRUE(make_dirs(dir + "/other"));
  const auto service = [](const std::string& name, const std::string& more) {
    return "[services." + name + "]\ntype='cnb'\npath='app'\nbuilder='b'\n" + more + "\n";
  };
  const std::string one = "build={env={V='1'}}", two = "build={env={V='2'}}";
  const auto variants = [&](const std::string& file) {
    std::string out;
    for (const auto& [name, config] : run(file).services)
      out += name + "=" + config.app->variant + " ";
    return out;
  };
  EXPECT_EQ(variants(service("a", one)), "a= ");
  EXPECT_EQ(variants(service("a", one) + service("b", one)), "a= b= ");
  EXPECT_EQ(variants(service("d", two) + service("c", one + "\nport=1") + service("a", one) +
                     service("b", two)),
            "a= b=b c= d=b ");
  EXPECT_EQ(variants(service("a", one) + service("b", two + "\nprocesses=['worker']")),
            "a= b=b b/worker=b ");
  EXPECT_EQ(variants(service("a", one) + service("b", "build={strict=true}") +
                     service("c", "run_image='r'")),
            "a= b=b c=c ");
  const std::string elsewhere = "[services.b]\ntype='cnb'\npath='other'\nbuilder='b'\n" + two;
  EXPECT_EQ(variants(service("a", one) + elsewhere), "a= b= ");
  const auto key = [&](const std::string& more) {
    return run(service("a", more)).services.at("a").app->key();
  };
  EXPECT_EQ(key(one), key(two)) << "an edit keeps the caches";
}

TEST(ProjectName, ComesFromTheFileTheFolderOrTheUser) {
  ProjectSpec spec;
  spec.dir = "/home/me/My Shop (2)";
  EXPECT_EQ(project_name(spec, "").value(), "my-shop-2");
  spec.name = "shop";
  EXPECT_EQ(project_name(spec, "").value(), "shop");
  EXPECT_EQ(project_name(spec, "other").value(), "other");
  EXPECT_FALSE(project_name(spec, "No Good"));
}

}  // namespace
}  // namespace locald::server
