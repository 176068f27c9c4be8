// A project file's services with all values put in.
#include "project/resolve/resolve.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "base/sys/fs_at.h"
#include "base/sys/signals.h"
#include "project/project_check.h"
#include "project/shown_config.h"
#include "project/test_project.h"
#include "project/toml/toml_front.h"

namespace locald::project {
namespace {

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
  std::string problem_of(const std::string& text) {
    const Resolved r = run(text);
    return r.problems.empty() ? "" : r.problems[0].message;
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

TEST_F(ResolveTest, ProblemsAreInTheOrderOfTheFile) {
  const Resolved r = run(R"(
[services.web]
command = "${A}"
env = { B = "${B}" }
env_file = "none.env"
[services.last]
command = "true"
env_file = "none.env"
)");
  std::vector<unsigned> lines;
  for (const Problem& p : r.problems) lines.push_back(p.at.line);
  EXPECT_EQ(lines, (std::vector<unsigned>{3, 4, 5, 8})) << describe(r.problems);
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
  EXPECT_EQ(r.problems[2].message, "${PORTLESS} is not set") << "and no word of the missing port";
  EXPECT_EQ(r.problems[1].message, "${NOPE} is not set");
  EXPECT_NE(r.problems[1].hint.find("$NOPE or $${NOPE}"), std::string::npos);
}

TEST_F(ResolveTest, ADotenvThatCannotBeReadIsTheOnlyProblem) {
  ASSERT_EQ(::mkfifo((dir + "/.env").c_str(), 0600), 0);
  const Resolved r = run("[services.a]\ncommand='x ${FOO}'\n");
  ASSERT_EQ(r.problems.size(), 1u) << describe(r.problems);
  EXPECT_NE(r.problems[0].message.find("/.env"), std::string::npos) << describe(r.problems);
  EXPECT_NE(r.problems[0].hint, "");
}

TEST_F(ResolveTest, AnAddressToCheckHasAHostAndAPort) {
  EXPECT_NE(problem_of("[services.a]\ncommand='x'\nhealth={tcp='localhost:99999'}\n")
                .find("has an invalid port"),
            std::string::npos);
  for (const char* url : {"http://", "http:///x", "http://:80/"})
    EXPECT_NE(problem_of(std::string("[services.a]\ncommand='x'\nhealth={http='") + url + "'}\n")
                  .find("has no host"),
              std::string::npos)
        << url;
}

TEST_F(ResolveTest, AnEmptySourceOfAVolumeIsRefused) {
  const std::string service = "[services.a]\ntype='container'\nimage='x'\n";
  EXPECT_NE(problem_of(service + "volumes=['${NOPE:-}:/data']\n").find("its source is empty"),
            std::string::npos);
  EXPECT_NE(problem_of(service + "volumes=[{source='${NOPE:-}', target='/data'}]\n")
                .find("its source is empty"),
            std::string::npos);
  EXPECT_EQ(describe(run(service + "volumes=['/data']\n").problems), "");
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
  for (int i = 0; i < 100; ++i) text += "'big.env',";
  r = run(text + "]\n");
  ASSERT_EQ(r.problems.size(), 1u) << describe(r.problems);
  EXPECT_EQ(r.problems[0].file, dir + "/big.env");
  r = run(text + "'big.env']\n");
  ASSERT_EQ(r.problems.size(), 1u) << describe(r.problems);
  EXPECT_NE(r.problems[0].message.find("a has more than 100 env files"), std::string::npos);
  // Each file is read for each service: what is read is bounded too, whatever comes of it.
  write("comments.env", "#" + std::string((1 << 20) - 1, 'x'));
  text = "[services.a]\ncommand='x'\nenv_file=[";
  for (int i = 0; i < 17; ++i) text += "'comments.env',";
  r = run(text + "]\n");
  ASSERT_EQ(r.problems.size(), 1u) << describe(r.problems);
  EXPECT_NE(r.problems[0].message.find("more than 16 MiB"), std::string::npos);
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

TEST_F(ResolveTest, WhatIsToldIsBounded) {
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "A" + std::to_string(i) + "=$v" + std::to_string(i) + "\n";
  write("many.env", many);
  Resolved r = run("[services.a]\ncommand='x'\nenv_file='many.env'\n");
  ASSERT_EQ(r.notices.size(), kMaxNotices + 1);
  EXPECT_EQ(r.notices.back().second, "and 4900 more notices like these");
  r = run("[services.a]\ncommand='x'\nworkdir='${LONG}'\n", {{"LONG", std::string(60000, 'x')}});
  ASSERT_EQ(r.problems.size(), 1u);
  EXPECT_LE(r.problems[0].message.size(), kMaxNotice);
}

TEST_F(ResolveTest, WhatThisUserMayNotIsKnownBeforehand) {
  ParsedProject parsed = parse_project_toml(
      "[services.a]\ntype='container'\nimage='a'\nmemory='64m'\nport=80\n", dir + "/locald.toml");
  const UserContext user{{}, 022, {}};
  const std::map<std::string, int> ports;
  ResolveInput input{parsed.spec, "shop", user, ports, paths(), {}};
  EXPECT_EQ(describe(resolve(input).problems), "");
  input.rights = {.limits = false, .first_port = 1024};
  const std::string said = describe(resolve(input).problems);
  EXPECT_NE(said.find("port 80 needs privileges"), std::string::npos) << said;
  EXPECT_NE(said.find("memory: limits need a cgroup of their own"), std::string::npos) << said;
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
          "\nstop_signal='QUIT'\nenv={PASSWORD='secret'}\n");
  const ServiceConfig& c = r.services.at("a");
  const auto text = c.to_json().dump();
  EXPECT_EQ(ServiceConfig::from_json(Json::parse(text).value()).value().to_json().dump(), text);
  EXPECT_EQ(shown(c, /*env=*/false)["env"]["PASSWORD"].as_string(), "…");
  EXPECT_EQ(shown(c, /*env=*/false).dump().find("secret"), std::string::npos);
  EXPECT_EQ(shown(c, /*env=*/true)["env"]["PASSWORD"].as_string(), "secret");
  EXPECT_EQ(shown(c, false)["restart"].dump(), R"({"policy":"always","max":3,"window_ms":120000})");
  EXPECT_EQ(shown(c, false)["limits"].dump(), R"({"memory":1073741824,"cpus":1.5})");
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

/// As every version has written it.
TEST(LateText, OfARecordIsReadAndWrittenTheSame) {
  const LateText late{LateText::Place::argv,
                      "1",
                      {{"http://", "", ""}, {"localhost", "db", "host"}, {":5432", "", ""}}};
  const std::string record =
      R"({"place":1,"key":"1","pieces":[{"text":"http://","service":"","field":""},)"
      R"({"text":"localhost","service":"db","field":"host"},)"
      R"({"text":":5432","service":"","field":""}]})";
  EXPECT_EQ(late.to_json().dump(), record);
  Json json = *Json::parse(record);
  json.set("later", 1);
  EXPECT_EQ(LateText::from_json(json), late);
  EXPECT_EQ(LateText::from_json(Json("damaged")), LateText());
}

}  // namespace
}  // namespace locald::project
