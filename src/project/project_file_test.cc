// The project file: TOML front, checks, interpolation, env files, resolution.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <map>

#include "base/sys/fs_at.h"
#include "base/sys/signals.h"
#include "project/project_check.h"
#include "project/resolve/dotenv.h"
#include "project/resolve/interpolation.h"
#include "project/resolve/resolve.h"
#include "project/test_project.h"
#include "project/toml/toml_front.h"
#include "project/units.h"
#include "server/launch/runtime_launcher.h"

namespace locald::project {
namespace {

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
  EXPECT_EQ(
      only_problem(app + "port = 81\ncontainer_port = 80\n"),
      "4: `port` = 81 and `container_port` = 80 differ (on the host's network they are one and "
      "the same: write only `container_port`)");
  EXPECT_EQ(only_problem(app + "workdir = 'x'\n"), "4: `workdir` is for type = \"container\"");
  EXPECT_EQ(only_problem(app + "process = 'web'\ncommand = 'x'\n"),
            "4: `process` is not used where there is a `command` (remove one of the two)");
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

TEST(TomlFront, WhatIsOfAnotherKindOfServiceIsRefusedByName) {
  EXPECT_EQ(only_problem("[services.a]\ncommand = 'x'\nnetwork = 'none'\n"),
            "3: a is a host process: its network is the host's (remove `network`)");
  EXPECT_EQ(only_problem("[services.a]\ncommand = 'x'\nports = ['80']\n"),
            "3: `ports` is for type = \"container\" and \"cnb\"");
  EXPECT_EQ(only_problem("[services.a]\ntype = 'exec'\ncommand = 'x'\nimage = 'y'\n"),
            "4: `image` is for type = \"container\"");
  EXPECT_EQ(only_problem("[services.a]\ncommand = 'x'\ninit = true\n"),
            "3: `init` is for type = \"container\" and \"cnb\"");
  EXPECT_EQ(only_problem("[services.a]\ntype = 'container'\nimage = 'y'\ninit = 1\n"),
            "4: `init` must be true or false, not a number");
}

TEST(TomlFront, AnImageMakesAContainer) {
  const ProjectSpec spec = spec_of("[services.a]\nimage = 'y'\n[services.b]\ncommand = 'x'\n");
  EXPECT_EQ(spec.find("a")->kind, ServiceKind::container);
  EXPECT_EQ(spec.find("b")->kind, ServiceKind::exec);
  EXPECT_EQ(
      only_problem("[services.a]\nport = 80\n"),
      "1: [services.a] has no `command` (a host process has one; a container has an `image`)");
  EXPECT_EQ(only_problem("[services.a]\nimage = 'y'\nworkdri = '/'\n"),
            "3: unknown key `workdri` in [services.a] (did you mean `workdir`?)");
}

TEST(TomlFront, WhatRunsOnceIsWaitedForToItsEnd) {
  const ProjectSpec spec = spec_of(
      "[services.web]\ncommand = 'x'\ndepends_on = ['migrate', 'db', 'seed']\n"
      "[services.migrate]\ncommand = 'x'\nonce = true\nhealth = { exec = 'true' }\n"
      "[services.seed]\nimage = 'y'\nonce = true\nrestart = 'on-failure'\n"
      "[services.db]\ncommand = 'x'\nhealth = { exec = 'true' }\n");
  const ServiceSpec& web = *spec.find("web");
  const auto condition = [&](std::size_t i) {
    return condition_of(web.depends_on.at(i), spec.find(web.depends_on.at(i).service));
  };
  EXPECT_EQ(condition(0), DependsCondition::completed);
  EXPECT_EQ(condition(1), DependsCondition::healthy);
  EXPECT_EQ(condition(2), DependsCondition::completed);
  EXPECT_EQ(spec.find("migrate")->restart.mode, RestartMode::no);
  // The process of an app's own table too.
  const ProjectSpec app =
      spec_of("[services.a]\ntype = 'cnb'\nbuilder = 'b'\nonce = true\nprocesses = ['w']\n");
  EXPECT_FALSE(app.find("a/w")->once);
  ASSERT_EQ(app.find("a/w")->depends_on.size(), 1u);
  EXPECT_EQ(app.find("a/w")->depends_on[0].condition, DependsCondition::completed);
}

TEST(TomlFront, FilesThatAreWatched) {
  const ProjectSpec spec = spec_of(
      "[services.a]\ncommand = 'x'\nwatch = ['*.py', { paths = ['src/**'], ignore = ['gen/'], "
      "action "
      "= 'restart' }, '!test_*.py']\n[services.b]\nimage = 'i'\nwatch = ['conf/']\n");
  const std::vector<WatchSpec> expected = {{{"*.py", "!test_*.py"}, {}}, {{"src/**"}, {"gen/"}}};
  EXPECT_EQ(spec.find("a")->watch, expected);
  EXPECT_EQ(spec.find("b")->watch.size(), 1u);
  const std::string a = "[services.a]\ncommand = 'x'\n";
  EXPECT_EQ(only_problem(a + "watch = [{ paths = ['x'], action = 'sync' }]\n"),
            "3: `action` = \"sync\" is none of restart");
  EXPECT_EQ(only_problem(a + "watch = [{ ignore = ['x'] }]\n"),
            "3: `watch`: a table has no `paths` (for example { paths = [\"*.py\"] })");
  EXPECT_EQ(only_problem(a + "watch = ['']\n"), "3: `watch` = \"\" matches no file: it is empty");
  EXPECT_EQ(only_problem(a + "watch = ['*.py', '[']\n"),
            "3: `watch` = \"[\" matches no file: a \"[\" is not closed, or holds an unknown class; "
            "a name with that character is written \\[");
  EXPECT_EQ(only_problem(a + "watch = [{ paths = ['x'], ignore = ['../x'] }]\n"),
            "3: `ignore` = \"../x\" matches no file: \"..\" is part of no path: patterns begin at "
            "the folder and do not lead out of it");
  EXPECT_EQ(only_problem("[services.a]\ntype = 'cnb'\nbuilder = 'b'\nwatch = ['x']\n"),
            "4: `watch` is for host processes and containers: `up` builds what has changed of an "
            "app, and `dev.sync` needs no build");
}

TEST(ProjectCheck, WhatRunsOnceIsNeitherRestartedNorWaitedForOtherwise) {
  EXPECT_EQ(only_problem("[services.a]\ncommand = 'x'\nonce = true\nrestart = 'always'\n"),
            "1: a runs once, but is always restarted (give it restart = \"no\" or \"on-failure\", "
            "or remove `once`)");
  EXPECT_EQ(
      only_problem("[services.a]\ncommand = 'x'\nonce = true\n[services.b]\ncommand = "
                   "'x'\ndepends_on = { a = 'started' }\n"),
      "6: b waits for a to start, but a runs once (wait for \"completed\", or remove `once`)");
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
            "6: services depend on each other in a cycle: a -> b -> c -> a (remove one of these "
            "`depends_on`)");
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

TEST(Units, Signals) {
  EXPECT_EQ(parse_signal("sigterm").value(), 15);
  EXPECT_EQ(parse_signal("9").value(), 9);
  EXPECT_FALSE(parse_signal("SIGWHAT"));
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
}  // namespace locald::project
