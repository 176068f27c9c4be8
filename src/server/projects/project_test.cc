#include "server/projects/project.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>

#include "base/sys/fs_at.h"
#include "project/canonical_text.h"
#include "project/shown_config.h"
#include "server/projects/runs_once.h"
#include "server/supervise/fake_launcher.h"

namespace locald::server {
namespace {

class ProjectTest : public testing::Test {
 protected:
  ProjectTest() {
    char name[] = "/tmp/locald-project-XXXXXX";
    home = ::mkdtemp(name);
    paths.emplace(Paths::from_env(
                      [this](const std::string& n) {
                        return n == "LOCALD_HOME" ? std::optional(home) : std::nullopt;
                      },
                      1000)
                      .value());
    EXPECT_TRUE(paths->create());
    project = make();
  }
  ~ProjectTest() override {
    project.reset();
    (void)remove_tree(home);
  }
  Project::Deps deps() {
    return {loop, launcher, *paths,
            [this](const RunningApp& app, const auto&, std::function<void(Result<Json>)> done) {
              builds.push_back({app.app, std::move(done)});
              return JobPool::Job();
            },
            [this](const std::string&) { ++quiet; }};
  }
  std::unique_ptr<Project> make() {
    return std::make_unique<Project>(deps(), "shop", "/shop", "/shop/locald.toml");
  }

  static project::ServiceConfig config(const std::string& name, const std::string& argument = "x") {
    project::ServiceConfig c;
    c.name = name;
    c.argv = {"run", argument};
    c.cwd = "/";
    return c;
  }
  void up(std::vector<project::ServiceConfig> services, std::set<std::string> selected = {}) {
    std::map<std::string, project::ServiceConfig> all;
    for (auto& s : services) all[s.name] = s;
    if (selected.empty())
      for (const auto& [name, c] : all) selected.insert(name);
    const auto user =
        std::make_shared<project::UserContext>(project::UserContext{{{"WHO", "me"}}, 022, {}});
    EXPECT_TRUE(project->apply(all, selected, user));
    run_for(loop, project::Milliseconds(30));
  }
  Phase phase(const std::string& name) { return project->supervisor().find(name)->state.phase; }

  std::string home;
  std::optional<Paths> paths;
  struct Build {
    cnb::AppSpec app;
    std::function<void(Result<Json>)> done;
  };
  std::vector<Build> builds;
  EventLoop loop;
  FakeLauncher launcher{loop};
  std::unique_ptr<Project> project;
  int quiet = 0;
};

TEST_F(ProjectTest, UpAgainRestartsExactlyWhatChanged) {
  up({config("a"), config("b"), config("c")});
  up({config("a"), config("b", "changed"), config("c")});
  EXPECT_EQ(launcher.launches("a"), 1);
  EXPECT_EQ(launcher.launches("b"), 2);
  EXPECT_EQ(launcher.launches("c"), 1);
  EXPECT_EQ(launcher.of("b").config->argv[1], "changed");
}

TEST_F(ProjectTest, WhatHasEndedAndChangedIsToldAsRecreated) {
  up({config("a"), config("b")});
  launcher.exit("a", 0);
  launcher.exit("b", 1);
  run_for(loop);
  up({config("a", "changed"), config("b")});
  EXPECT_EQ(project->changes().at("a"), "recreated: command");
  EXPECT_EQ(project->changes().at("b"), "started");
}

TEST_F(ProjectTest, WhatRunsOnceRunsAgainWhereItIsNamedOrItsImageIsAnotherOne) {
  const auto job = [](const std::string& name) {
    project::ServiceConfig c = config(name);
    c.once = true;
    return c;
  };
  const std::map<std::string, project::ServiceConfig> all = {{"named", job("named")},
                                                             {"image", job("image")},
                                                             {"same", job("same")},
                                                             {"failed", job("failed")},
                                                             {"other", config("other")}};
  const std::set<std::string> selected = {"named", "image", "same", "failed", "other"};
  const auto user = std::make_shared<project::UserContext>();
  EXPECT_TRUE(project->apply(all, selected, user));
  run_for(loop, project::Milliseconds(30));
  for (const std::string& name : selected) launcher.exit(name, name == "failed" ? 1 : 0);
  run_for(loop, project::Milliseconds(30));
  const auto again =
      done_again(project->supervisor(), all, selected, {"named", "other"}, /*all=*/false,
                 [](const project::ServiceConfig& config) { return config.name == "image"; });
  EXPECT_EQ(again, (std::map<std::string, std::string>{{"named", "started"},
                                                       {"image", "recreated: a new image"}}));
  const auto in_compose = done_again(project->supervisor(), all, selected, {}, /*all=*/true,
                                     [](const project::ServiceConfig&) { return false; });
  EXPECT_EQ(in_compose.size(), 4u) << "all but the one that failed, which runs again anyway";
  EXPECT_TRUE(project->apply(all, selected, user, {}, false, again));
  run_for(loop, project::Milliseconds(30));
  EXPECT_EQ(project->changes(), (std::map<std::string, std::string>{{"named", "started"},
                                                                    {"image", again.at("image")},
                                                                    {"same", "unchanged"},
                                                                    {"failed", "started"},
                                                                    {"other", "unchanged"}}));
  EXPECT_EQ(launcher.launches("named"), 2);
  EXPECT_EQ(launcher.launches("image"), 2);
  EXPECT_EQ(launcher.launches("same"), 1);
  EXPECT_EQ(launcher.launches("failed"), 2);
  std::set<std::string> restarted = selected;
  leave_done(project->supervisor(), restarted);
  EXPECT_EQ(restarted, (std::set<std::string>{"named", "image", "failed", "other"}))
      << "these run, but `other`, which may end as often as it likes";
}

TEST_F(ProjectTest, ThatItRunsOnceIsNoChangeOfWhatRuns) {
  project::ServiceConfig job = config("a");
  const std::string before = project::canonical_text(job);
  const Json record = job.to_json();
  EXPECT_FALSE(record.contains("once")) << "earlier servers wrote none";
  up({job});
  job.once = true;
  EXPECT_EQ(project::canonical_text(job), before);
  up({job});
  EXPECT_EQ(launcher.launches("a"), 1);
  project = Project::restore(deps(), "shop").value();
  EXPECT_TRUE(project->supervisor().find("a")->config->once);
}

TEST_F(ProjectTest, WhatUpWasAskedForIsRemembered) {
  up({config("a")});
  const std::string record = *read_file(paths->run_project("shop"));
  EXPECT_EQ(record.find("wishes"), std::string::npos) << "earlier servers wrote none";
  project->remember({.profiles = {"dev"},
                     .allowed = {"privileged"},
                     .publish_address = "0.0.0.0",
                     .low_ports = "+8000"});
  up({config("a")});
  project = Project::restore(deps(), "shop").value();
  Wishes next{.profiles = {}, .allowed = {"pid"}, .publish_address = {}, .low_ports = {}};
  next.fill_in(project->wishes(), {});
  EXPECT_EQ(next.profiles, std::vector<std::string>{"dev"});
  EXPECT_EQ(next.allowed, std::vector<std::string>{"pid"}) << "said again";
  EXPECT_EQ(next.publish_address, "0.0.0.0");
  EXPECT_EQ(next.low_ports, "+8000");
  Wishes by_variable;
  by_variable.fill_in(project->wishes(), {{"COMPOSE_PROFILES", "ci"}});
  EXPECT_TRUE(by_variable.profiles.empty());
}

TEST_F(ProjectTest, WhatIsSaidOfAComposeProjectIsInItsWords) {
  project = std::make_unique<Project>(deps(), "shop", "/shop", "/shop/compose.yaml");
  EXPECT_TRUE(project->compose());
  launcher.hold_launches = true;
  up({config("a")});
  launcher.finish_launch("a",
                         Error(Errc::not_found, "user \"x\"").with_hint("give user = \"1000\""));
  run_for(loop, project::Milliseconds(30));
  EXPECT_NE(project->status("a")->reason.value_or("").find("give user: \"1000\""),
            std::string::npos)
      << project->status("a")->reason.value_or("");
}

TEST_F(ProjectTest, UpAgainRemovesWhatVanished) {
  up({config("a"), config("b")});
  up({config("a")});
  EXPECT_EQ(project->supervisor().find("b"), nullptr);
  EXPECT_EQ(phase("a"), Phase::running);
  EXPECT_EQ(project->status().size(), 1u);
}

TEST_F(ProjectTest, OnlyWhatIsAskedForIsStartedAndChanged) {
  up({config("a"), config("b")}, {"a"});
  EXPECT_EQ(phase("b"), Phase::stopped);
  up({config("a", "new"), config("b")}, {"b"});
  EXPECT_EQ(launcher.launches("a"), 1);
  EXPECT_EQ(launcher.launches("b"), 1);
}

TEST_F(ProjectTest, WhatHasCompletedIsNotRunAgainWhatFailedIs) {
  up({config("done"), config("broken")});
  launcher.exit("done", 0);
  launcher.exit("broken", 1);
  run_for(loop);
  up({config("done"), config("broken")});
  EXPECT_EQ(launcher.launches("done"), 1);
  EXPECT_EQ(launcher.launches("broken"), 2);
}

TEST_F(ProjectTest, WaitTellsWhoFailedAndWhy) {
  launcher.obedient = false;
  std::optional<Project::Outcome> outcome;
  up({config("a"), config("b")});
  project->wait({"a", "b"}, Project::Until::started, std::nullopt,
                [&](Project::Outcome o) { outcome = std::move(o); });
  launcher.run("a");
  run_for(loop);
  EXPECT_FALSE(outcome.has_value());
  runtime::ExitStatus status;
  status.code = 127;
  status.never_ran = true;
  status.reason = "run: not found";
  launcher.exit("b", status);
  run_for(loop);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->failed,
            (std::map<std::string, std::string>{{"b", "could not be started: run: not found"}}));
}

TEST_F(ProjectTest, WaitGivesUpWhenItsTimeIsOver) {
  launcher.obedient = false;
  std::optional<Project::Outcome> outcome;
  up({config("a")});
  project->wait({"a"}, Project::Until::started, project::Milliseconds(10),
                [&](Project::Outcome o) { outcome = std::move(o); });
  run_until(loop, [&] { return outcome.has_value(); });
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->pending, std::set<std::string>{"a"});
}

TEST_F(ProjectTest, WhoWaitsIsAnsweredWhenTheProjectGoes) {
  launcher.obedient = false;
  up({config("a"), config("b")});
  launcher.run("a");
  run_for(loop);
  std::map<std::string, std::vector<Project::Outcome>> outcomes;
  const auto wait = [&](const std::string& who, Project::Until until) {
    project->wait({"a", "b"}, until, std::nullopt,
                  [&, who](Project::Outcome o) { outcomes[who].push_back(std::move(o)); });
  };
  wait("started", Project::Until::started);
  wait("ready", Project::Until::ready);
  wait("quiet", Project::Until::quiet);
  wait("down", Project::Until::down);
  run_for(loop);
  EXPECT_TRUE(outcomes.empty());
  project->bring_down(false);
  wait("late", Project::Until::started);
  run_for(loop);
  for (const char* who : {"started", "ready", "late"}) {
    ASSERT_EQ(outcomes[who].size(), 1u) << who;
    EXPECT_TRUE(outcomes[who][0].brought_down) << who;
  }
  EXPECT_TRUE(outcomes["quiet"].empty() && outcomes["down"].empty());
  for (const char* service : {"a", "b"}) launcher.exit(service, 0);
  run_for(loop);
  EXPECT_EQ(outcomes["quiet"].size(), 1u);
  EXPECT_TRUE(outcomes["down"].empty()) << "what it leaves on disk is not removed yet";
  wait("last", Project::Until::quiet);
  project->close();
  project.reset();
  run_for(loop);
  for (const char* who : {"started", "ready", "late", "quiet", "down", "last"})
    EXPECT_EQ(outcomes[who].size(), 1u) << who;
  EXPECT_FALSE(outcomes["down"][0].brought_down);
}

TEST_F(ProjectTest, WhoWaitsForAnEndIsToldThatAnotherCommandWantsItUp) {
  launcher.obedient = false;
  up({config("a"), config("b"), config("c")});
  for (const char* service : {"a", "b", "c"}) launcher.run(service);
  run_for(loop);
  std::map<std::string, std::string> failed;
  int ended = 0;
  for (const char* service : {"a", "b", "c"}) {
    project->stop({service});
    project->wait({service}, Project::Until::quiet, std::nullopt, [&](Project::Outcome o) {
      failed.merge(o.failed);
      ++ended;
    });
  }
  run_for(loop);
  EXPECT_EQ(ended, 0);
  project->start({"a"});
  project->restart({"b"});
  up({config("a"), config("b"), config("c")}, {"c"});
  run_for(loop);
  EXPECT_EQ(ended, 3);
  for (const char* service : {"a", "b", "c"})
    EXPECT_EQ(failed[service], "was started again by another command");
}

TEST_F(ProjectTest, WhatTheFileNoLongerHasIsNotPartOfTheProjectWhileItIsStopped) {
  launcher.obedient = false;
  up({config("a"), config("b")});
  for (const char* service : {"a", "b"}) launcher.run(service);
  up({config("a")});
  EXPECT_EQ(phase("b"), Phase::stopping);
  EXPECT_EQ(project->find("b"), nullptr);
  EXPECT_NE(project->find("a"), nullptr);
}

TEST_F(ProjectTest, DownIsToldOnceAllIsQuiet) {
  up({config("a"), config("b")});
  project->bring_down(false);
  run_for(loop);
  EXPECT_EQ(quiet, 1);
  project->close();
  EXPECT_FALSE(exists(paths->run_project("shop")));
  EXPECT_FALSE(exists(paths->run_project_state("shop")));
}

TEST_F(ProjectTest, WhatIsWrittenDownIsForTheOwnerAlone) {
  up({config("a")});
  struct stat st {};
  ASSERT_EQ(::stat(paths->run_project("shop").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(ProjectTest, ANewServerGoesOnWhereTheOldOneStopped) {
  up({config("runs"), config("done"), config("off"), config("lost")});
  launcher.exit("done", 3);
  project->stop({"off"});
  run_for(loop);
  project = Project::restore(deps(), "shop").value();
  // "runs" is found alive; "lost" is not found at all.
  project->supervisor().adopt(
      "runs", std::make_unique<FakeLauncher::Handle>(launcher, launcher.processes[3]),
      project->supervisor().find("runs")->config, 7, 2);
  project->settle({{"runs", ""}});
  run_for(loop);
  EXPECT_EQ(phase("done"), Phase::exited);
  EXPECT_EQ(project->supervisor().find("done")->state.exit->code, 3);
  EXPECT_EQ(phase("off"), Phase::stopped);
  EXPECT_EQ(phase("lost"), Phase::running);
  EXPECT_EQ(launcher.launches("lost"), 2);
  EXPECT_EQ(launcher.launches("runs"), 1);
  EXPECT_EQ(project->supervisor().find("runs")->state.history.restarts, 2);
  EXPECT_EQ(project->supervisor().find("lost")->user->env.at("WHO"), "me");
}

TEST_F(ProjectTest, ARestartThatWasCutShortIsFinishedByTheNextServer) {
  launcher.obedient = false;
  up({config("told"), config("changed"), config("gone"), config("same")});
  for (const char* service : {"told", "changed", "gone", "same"}) launcher.run(service);
  run_for(loop);
  std::map<std::string, std::string> adopted;
  for (const auto& [name, unit] : project->supervisor().units())
    adopted[name] = project::configuration_id(*unit.active);
  project->restart({"told", "gone"});
  run_for(loop);
  const std::string path = paths->run_project_state("shop"), before = read_file(path).value();
  up({config("told"), config("changed", "y"), config("gone"), config("same")}, {"changed"});
  // Killed between the writing of the configurations and that of the state.
  ASSERT_TRUE(write_file_atomic(path, before, 0600));
  project = Project::restore(deps(), "shop").value();
  for (std::size_t i = 0; i < launcher.processes.size(); ++i) {
    const std::string name = launcher.processes[i]->service;
    if (name == "gone")
      project->supervisor().adopt_ended(name, "0123456789ab", "n", {}, 1, 0);
    else
      project->supervisor().adopt(
          name, std::make_unique<FakeLauncher::Handle>(launcher, launcher.processes[i]),
          project->supervisor().find(name)->config, 1, 0);
  }
  project->settle(adopted);
  run_for(loop);
  EXPECT_EQ(phase("told"), Phase::stopping);
  EXPECT_EQ(phase("changed"), Phase::stopping);
  EXPECT_TRUE(launcher.of("same").stops.empty());
  EXPECT_EQ(launcher.launches("gone"), 2);
  for (const char* service : {"told", "changed"}) launcher.exit(service, 0);
  run_for(loop);
  for (const char* service : {"told", "changed"}) EXPECT_EQ(launcher.launches(service), 2);
  EXPECT_EQ(launcher.launches("same"), 1);
}

TEST_F(ProjectTest, ADownThatWasCutShortIsFinishedByTheNextServer) {
  launcher.obedient = false;
  up({config("a")});
  launcher.run("a");
  run_for(loop);
  project->bring_down(/*volumes=*/true);
  run_for(loop);
  project = Project::restore(deps(), "shop").value();
  project->settle({});
  run_for(loop);
  EXPECT_TRUE(project->going_down());
  EXPECT_TRUE(project->remove_volumes());
  EXPECT_EQ(quiet, 1);
}

TEST_F(ProjectTest, StatusHasEveryFieldAndNullWhereOneDoesNotApply) {
  up({config("a")});
  const Json s = encode(*project->status("a"));
  for (const char* field : {"name", "kind", "state", "health", "pid", "shim_pid", "port", "url",
                            "exit_code", "signal", "restarts", "started_at", "reason", "network"})
    EXPECT_TRUE(s.contains(field)) << field;
  EXPECT_EQ(s["state"].as_string(), "running");
  EXPECT_TRUE(s["port"].is_null() && s["exit_code"].is_null() && s["reason"].is_null());
  runtime::ExitStatus status;
  status.signal = 11;
  launcher.exit("a", status);
  run_for(loop);
  EXPECT_EQ(project->status("a")->signal, "SIGSEGV");
  EXPECT_FALSE(project->status("a")->exit_code);
  EXPECT_FALSE(project->status("a")->pid);
}

TEST_F(ProjectTest, AFailedServiceHasNoUrl) {
  auto web = config("web");
  web.port = 4000;
  up({web});
  EXPECT_EQ(project->status("web")->url, "http://127.0.0.1:4000");
  runtime::ExitStatus status;
  status.code = 127;
  status.never_ran = true;
  launcher.exit("web", status);
  run_for(loop);
  EXPECT_EQ(project->status("web")->state, "failed");
  EXPECT_FALSE(project->status("web")->url);
}

/// A service of kind cnb.
project::ServiceConfig app_config(const std::string& name, const std::string& path = "/shop/app") {
  project::ServiceConfig c;
  c.name = name;
  c.kind = project::ServiceKind::cnb;
  c.app.emplace();
  c.app->path = path;
  return c;
}

TEST_F(ProjectTest, ServicesOfOneAppAreBuiltOnceWhileTheyRun) {
  const auto user = std::make_shared<project::UserContext>();
  const std::map<std::string, project::ServiceConfig> configs{
      {"api", app_config("api")},
      {"api/worker", app_config("api/worker")},
      {"other", app_config("other", "/shop/other")},
      {"stopped", app_config("stopped")},
      {"web", config("web")}};
  up({configs.at("api"), configs.at("api/worker"), configs.at("other"), configs.at("web")});
  const auto apps = running_apps(project->supervisor(), configs,
                                 {"api", "api/worker", "other", "stopped", "web"}, *user);
  ASSERT_EQ(apps.size(), 2u);
  EXPECT_EQ(apps[0].services, (std::set<std::string>{"api", "api/worker"}));
  EXPECT_EQ(apps[1].app.path, "/shop/other");

  std::optional<Result<Json>> built;
  project->build(apps[0], [&](Result<Json> content) { built = std::move(content); });
  ASSERT_EQ(builds.size(), 1u);
  EXPECT_NE(project->status("api/worker")
                ->reason.value_or("")
                .find("still running; checking whether its build is up to date"),
            std::string::npos);
  EXPECT_EQ(phase("api"), Phase::running);
  builds[0].done(Json::object({{"generation", 2}}));
  ASSERT_TRUE(built.has_value());
  EXPECT_FALSE(project->status("api/worker")->reason);
}

TEST_F(ProjectTest, WhatHasAnotherBuildIsRestartedThoughItsConfigurationIsTheSame) {
  launcher.contents["api"] = Json::object({{"generation", 1}});
  up({app_config("api"), config("web")});
  EXPECT_EQ(project->status("api")->app->generation, 1u);
  EXPECT_FALSE(project->status("web")->app);
  EXPECT_TRUE(project->apply({{"api", app_config("api")}, {"web", config("web")}}, {"api", "web"},
                             std::make_shared<project::UserContext>(), {"api"}));
  run_for(loop, project::Milliseconds(30));
  EXPECT_EQ(launcher.launches("api"), 2);
  EXPECT_EQ(launcher.launches("web"), 1);
  EXPECT_EQ(launcher.built, std::set<std::string>{"api"}) << "its source is looked at once";
  project->restart({"api"});
  run_for(loop, project::Milliseconds(30));
  EXPECT_EQ(launcher.launches("api"), 3);
  EXPECT_TRUE(launcher.built.empty()) << "that was for one start";
  project->supervisor().note_built({"api"});
  project->stop({"api"});
  run_for(loop, project::Milliseconds(30));
  project->start({"api"});
  run_for(loop, project::Milliseconds(30));
  EXPECT_EQ(launcher.launches("api"), 4);
  EXPECT_TRUE(launcher.built.empty()) << "a stop comes between";
}

TEST_F(ProjectTest, ABuildThatEndsAfterTheProjectIsToldToWhoAskedAllTheSame) {
  up({app_config("api")});
  int told = 0;
  project->build({*app_config("api").app, {"api"}}, [&](const Result<Json>&) { ++told; });
  const auto life = project->life();
  project.reset();
  EXPECT_FALSE(*life);
  builds[0].done(Error(Errc::cancelled, "cancelled"));
  EXPECT_EQ(told, 1);
}

TEST_F(ProjectTest, AppsComeBackFromTheRunFolder) {
  project::ServiceConfig api = app_config("api");
  api.app->builder = "b:1";
  api.app->live = {"src"};
  api.app->env = {{"A", "1"}};
  api.process = "web";
  api.args = {"x", "y"};
  api.bindings = {{"mail", "/mail"}};
  EXPECT_EQ(project::ServiceConfig::from_json(api.to_json()).value().to_json(), api.to_json());
  up({api});
  project = Project::restore(deps(), "shop").value();
  EXPECT_EQ(project->supervisor().find("api")->config->to_json(), api.to_json());
  EXPECT_EQ(project::shown(api, /*env=*/false)["build"]["env"]["A"].as_string(), "…");
}

TEST_F(ProjectTest, AWaitForNothingEndsAtOnce) {
  up({app_config("api")});
  run_for(loop, project::Milliseconds(30));
  int ended = 0;
  project->wait({}, Project::Until::ready, std::nullopt,
                [&](const Project::Outcome& outcome) { ended += outcome.failed.empty() ? 1 : 0; });
  run_for(loop, project::Milliseconds(30));
  EXPECT_EQ(ended, 1);
}

}  // namespace
}  // namespace locald::server
