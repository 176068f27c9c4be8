// Random requests at random times to a server whose projects, containers and sessions are real and
// whose processes and jobs are fakes: what runs belongs to a state that says so, every request ends
// exactly once and by itself, what the tables of admission.h say is what happens, and all ends when
// it is told to.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <set>

#include "base/sys/fs_at.h"
#include "project/canonical_text.h"
#include "server/instances/model_fixture.h"

namespace locald::server {
namespace {

constexpr std::size_t kEvents = 1'000'000, kEventsOfAWorld = 2'000;

/// Asks one server at random, from its start to `server stop --all`.
class Model final : public ModelWorld {
 public:
  using ModelWorld::ModelWorld;

  /// One random event, and what follows from it by itself.
  void step() {
    const double dice = std::uniform_real_distribution<>(0, 1)(random_);
    if (dice < 0.06)
      ask();
    else if (dice < 0.065)
      hang_up();
    else if (dice < 0.066 && !stopping_)
      be_killed();
    else if (dice < 0.50)
      finish_pending();
    else if (dice < 0.90)
      let_happen();
    else
      time_.advance(std::chrono::milliseconds(pick(400)));
    drain();
    check();
  }

  /// Nothing is asked any more and nothing goes wrong: every request ends by itself.
  void settle() {
    calm_ = true;
    const auto waits = [this] {
      return std::any_of(open_.begin(), open_.end(),
                         [](const auto& asked) { return asked->verb != "watch"; });
    };
    for (int steps = 0; waits() && steps < 20'000 && !testing::Test::HasFailure(); ++steps) {
      if (steps % 3 != 0 || pending_.empty())
        let_happen();
      else
        finish_pending();
      if (steps % 50 == 49) time_.advance(std::chrono::seconds(60));
      drain();
      check();
    }
    for (const auto& asked : open_)
      EXPECT_EQ(asked->verb, "watch")
          << asked->verb << " of " << asked->project << " never ends: " << describe();
    calm_ = false;
  }

  /// `server/stop`, and all that happens until it has ended.
  void stop_all() {
    const auto before = open_;
    const auto stop = begin("server/stop", "");
    stopping_ = true;
    api_->handle({"server/stop", Json::object({{"all", true}}), Reading::strict}, reply_to(stop));
    for (int steps = 0; ends_ == 0 && steps < 100'000 && !testing::Test::HasFailure(); ++steps) {
      step();
      if (steps % 100 == 0) time_.advance(std::chrono::seconds(60));
    }
    ASSERT_EQ(ends_, 1) << "the server does not come to its end: " << describe();
    EXPECT_TRUE(stop->ends == 1 && !stop->failed);
    EXPECT_EQ(stop->result["services_left"].as_int(), 0);
    for (const auto& asked : before)
      EXPECT_TRUE(asked->ends == 1 || asked->gone) << asked->verb << " was cut off by the end";
    // What was asked while it stopped is finished, or called off by the end of the process.
    while (!pending_.empty()) {
      finish_pending();
      drain();
    }
    for (const auto& process : processes_)
      EXPECT_TRUE(process->ended) << process->project << "/" << process->service << " lives on";
    EXPECT_EQ(starting_, 0);
    EXPECT_EQ(ends_, 1);
    for (const auto& asked : asked_) {
      EXPECT_EQ(asked->ends, asked->gone ? std::min(asked->ends, 1) : 1) << asked->verb;
      EXPECT_EQ(asked->said.find("was dropped"), std::string::npos) << asked->verb;
    }
  }

  std::size_t asked() const { return count_; }

 private:
  /// The server is killed, and another one adopts what runs, as adoption.cc does. Containers have no
  /// instance here by which they could be known again: not while there are any.
  void be_killed() {
    for (const std::string name : {"x0", "x1"})
      if (const ContainerState state = containers_->state_of(name);
          state != ContainerState::none && state != ContainerState::ended)
        return;
    struct Before {
      ProjectState state;
      std::map<std::string, bool> wanted = {};
      std::map<std::string, std::uint64_t> due = {};  ///< to start after that life
    };
    std::map<std::string, Before> before;
    for (const std::string name : {"a", "b"})
      if (Project* project = projects_->find(name)) {
        Before& b = before[name] = {projects_->state_of(name)};
        for (const auto& [service, unit] : project->supervisor().units())
          if (project->find(service) != nullptr)  // one that the file no longer has is just ended
            if (b.wanted[service] = project->wanted(service); b.wanted[service])
              if (const auto life = unit.due_after()) b.due[service] = *life;
      }
    for (const auto& asked : open_) asked->gone = true;  // their connections end
    open_.clear();
    waiting_.clear();
    api_.reset();
    containers_.reset();
    sessions_.reset();
    projects_.reset();
    pending_.clear();  // its jobs end with it
    removing_.clear();
    starting_ = 0;
    begin_server();
    EXPECT_TRUE(projects_->restore().empty());
    std::vector<std::shared_ptr<ModelProcess>> found;
    for (const auto& process : processes_)
      if (!process->ended) found.push_back(process);
    for (const auto& [instance, process] : uncleaned_) found.push_back(process);
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a->life > b->life; });
    std::map<std::string, Project::Adopted> adopted;
    for (const auto& process : found) {
      process->announced = process->let_go = false;
      process->events = {};
      std::unique_ptr<runtime::ServiceHandle> live;
      if (!process->ended) live = process->handle();
      Project* const project = projects_->find(process->project);
      if (process->of == ModelProcess::Of::container) {
        uncleaned_.erase(process->instance);
      } else if (process->of == ModelProcess::Of::session || project == nullptr ||
                 project->supervisor().find(process->service) == nullptr ||
                 !adopted[process->project]
                      .emplace(process->service, project::configuration_id(*process->config))
                      .second) {
        EXPECT_TRUE(process->of == ModelProcess::Of::session || live == nullptr)
            << process->service << " runs and is in no record";
        sessions_->adopt(process->project, process->instance, process->nonce, std::move(live));
      } else if (live == nullptr) {
        project->supervisor().adopt_ended(process->service, process->instance, process->nonce,
                                          process->end, process->life, process->restarts);
      } else {
        project->supervisor().adopt(process->service, std::move(live), process->config,
                                    process->life, process->restarts);
      }
    }
    projects_->settle(adopted);
    containers_->settle();
    for (const auto& [name, b] : before) {
      if (b.state == ProjectState::going_down) {
        EXPECT_NE(projects_->state_of(name), ProjectState::up) << "it was going down";
        continue;
      }
      Project* project = projects_->find(name);
      ASSERT_NE(project, nullptr) << name << " was up";
      for (const auto& [service, wanted] : b.wanted)
        EXPECT_EQ(project->wanted(service), wanted) << service;
      for (const auto& [service, life] : b.due) {
        const Supervisor::Unit& unit = *project->supervisor().find(service);
        EXPECT_FALSE(unit.state.ended()) << service << " was to be started again";
        EXPECT_TRUE(unit.life > life || unit.state.phase != Phase::running)
            << service << " was to be restarted";
      }
    }
  }

  void hang_up() {
    if (open_.empty()) return;
    const auto asked = open_[pick(open_.size())];
    if (asked->ends != 0 || asked->gone || asked->verb == "server/stop") return;
    asked->gone = true;
    if (asked->hangup) asked->hangup();
  }

  Json body_of(const std::string& project) {
    static const char* const kServices[] = {"db", "web", "job", "app"};
    Json services = Json::array();
    if (chance(0.5)) services.push(kServices[pick(4)]);
    const std::string dir = home_ + "/user/" + project;
    return Json::object(
        {{"project", Json::object({{"dir", dir},
                                   {"file", dir + (chance(0.7) ? "/1" : "/2") + ".toml"},
                                   {"name", project}})},
         {"name", project},
         {"services", std::move(services)},
         {"service", kServices[pick(4)]},
         {"argv", std::vector<std::string>{"true"}},
         {"env", Json::object()},
         {"umask", 18},
         {"rlimits", Json::object()},
         {"wait", chance(0.5)},
         {"volumes", chance(0.2)},
         {"timeout_ms", chance(0.1) ? Json(1000) : Json()}});
  }

  std::shared_ptr<Asked> begin(const std::string& verb, const std::string& project) {
    auto asked = std::make_shared<Asked>();
    asked->verb = verb;
    asked->project = project;
    asked_.push_back(asked);
    open_.push_back(asked);
    asking_ = project;
    return asked;
  }
  static ReplyPtr reply_to(const std::shared_ptr<Asked>& asked) {
    return std::make_shared<Reply>(std::make_unique<AskedSink>(asked));
  }

  /// As a client does. False: the server is stopping, and the table lets this one in no more.
  bool send(const std::shared_ptr<Asked>& asked, Json body) {
    const int before = launches_[asked->project];
    api_->handle({asked->verb, std::move(body), Reading::tolerant}, reply_to(asked));
    const bool refused = meets(asked->verb, stopping_ ? ServerState::stopping
                                                      : ServerState::serving) == Meets::refuse;
    EXPECT_EQ(asked->said == "the server is stopping", refused) << asked->verb;
    if (!refused) return true;
    EXPECT_EQ(asked->ends, 1) << asked->verb;
    EXPECT_EQ(launches_[asked->project], before) << asked->verb;
    return false;
  }

  void ask() {
    struct Verb {
      const char* name;
      std::size_t weight;
    };
    static constexpr Verb kVerbs[] = {{"up", 12},   {"down", 9},     {"start", 13},
                                      {"stop", 10}, {"restart", 13}, {"kill", 2},
                                      {"watch", 3}, {"status", 2},   {"logs", 2},
                                      {"exec", 15}, {"attach", 3},   {"project/forget", 1}};
    static constexpr const char* kAlways[] = {"version", "server/status", "project/ls",
                                              "container/ls"};
    std::size_t dice = pick(100);
    if (dice >= 88) return ask_container();
    if (dice >= 86) {
      const auto asked = begin(kAlways[pick(4)], "");
      (void)send(asked, Json::object());
      EXPECT_TRUE(asked->ends == 1 && !asked->failed) << asked->verb << ": " << asked->said;
      return;
    }
    if (dice == 85) {
      if (!stopping_) return;
      const auto asked = begin("server/stop", "");
      (void)send(asked, Json::object({{"all", chance(0.5)}}));
      EXPECT_EQ(asked->ends, 0) << "it joins the first one";
      return;
    }
    for (const Verb& verb : kVerbs) {
      if (dice < verb.weight) return ask_project(verb.name, chance(0.5) ? "a" : "b");
      dice -= verb.weight;
    }
  }

  /// What the table says is what happens.
  void ask_project(const std::string& name, const std::string& project) {
    const Json body = body_of(project);
    const auto asked = begin(name, project);
    const auto rule = std::find_if(kProjectRules.begin(), kProjectRules.end(),
                                   [&](const ProjectRule& r) { return r.request == name; });
    ASSERT_NE(rule, kProjectRules.end());
    const ProjectState state = projects_->state_of(project);
    const Meets expected = meets(rule->verb, state);
    const int before = launches_[project];
    const std::string service = body["service"].as_string();
    Project* const present = projects_->find(project);
    const Supervisor::Unit* const unit =
        present != nullptr ? present->supervisor().find(service) : nullptr;
    const bool runs = unit != nullptr && unit->state.phase == Phase::running,
               attachable = present != nullptr && present->supervisor().handle(service) != nullptr;
    if (name == "restart" && present != nullptr)
      for (const std::string& s : meant(*present, body))
        if (const auto* u = present->supervisor().find(s); u != nullptr && u->state.busy())
          asked->instances[s] = u->instance;
    if (!send(asked, body)) return;
    SCOPED_TRACE(name + " in state " + std::to_string(static_cast<int>(state)) + ": " +
                 asked->said);
    // `down` of what was not up removes what earlier runs left: there is nothing to stop or watch.
    const bool is_only_removed = present == nullptr && state == ProjectState::going_down &&
                                 asked->said == "project " + project + " is not up";
    switch (expected) {
      case Meets::refuse:
        EXPECT_TRUE(asked->ends == 1 && asked->failed);
        EXPECT_EQ(launches_[project], before);
        break;
      case Meets::queue:
      case Meets::join:
        // A service that is not there is said at once.
        asked->joined = asked->ends == 0;
        EXPECT_TRUE(asked->ends == 0 || said_there_is_none(*asked) || is_only_removed);
        EXPECT_EQ(launches_[project], before);
        if (asked->joined) waiting_.push_back(asked);
        break;
      case Meets::go:
        if (said_there_is_none(*asked) || is_only_removed) break;
        if (name == "exec")
          EXPECT_EQ(asked->ends, runs ? 0 : 1);
        else if (name == "attach")
          EXPECT_EQ(asked->failed, !attachable);
        else if (name == "project/forget")  // one that never was up is not known
          EXPECT_TRUE(!asked->failed || asked->said.starts_with("no project is called"));
        else
          EXPECT_FALSE(asked->failed);
        has_gone(*asked, rule->verb, body);
        break;
    }
  }

  static bool said_there_is_none(const Asked& asked) {
    return asked.ends == 1 && asked.failed && asked.said.starts_with("there is no service");
  }

  /// The services that a request is about: those that it names, else all.
  static std::vector<std::string> meant(Project& project, const Json& body) {
    std::vector<std::string> out;
    for (const Json& name : body["services"].as_array()) out.push_back(name.as_string());
    if (out.empty())
      for (const auto& [name, unit] : project.supervisor().units())
        if (project.find(name) != nullptr) out.push_back(name);
    return out;
  }

  /// A request that nothing stood in the way of has begun to do what it is for.
  void has_gone(const Asked& asked, ProjectVerb verb, const Json& body) {
    Project* const project = projects_->find(asked.project);
    const ProjectState now = projects_->state_of(asked.project);
    switch (verb) {
      case ProjectVerb::up:
        ASSERT_EQ(now, ProjectState::up);
        for (const Json& service : body["services"].as_array())
          EXPECT_TRUE(project->wanted(service.as_string())) << service.as_string();
        break;
      case ProjectVerb::start:
      case ProjectVerb::stop:
      case ProjectVerb::restart:
        ASSERT_NE(project, nullptr);
        for (const std::string& service : meant(*project, body))
          EXPECT_EQ(project->wanted(service), verb != ProjectVerb::stop) << service;
        break;
      case ProjectVerb::down:
      case ProjectVerb::kill:
        EXPECT_NE(now, ProjectState::up);
        break;
      case ProjectVerb::watch:
        EXPECT_EQ(asked.ends, 0);
        break;
      case ProjectVerb::attach:
      case ProjectVerb::status:
      case ProjectVerb::logs:
      case ProjectVerb::forget:
        EXPECT_EQ(asked.ends, 1);
        break;
      case ProjectVerb::stats:
      case ProjectVerb::wait:
      case ProjectVerb::run:  // played by sessions_test.cc and the functional tests
      case ProjectVerb::exec:
        break;
    }
  }

  void ask_container() {
    const std::string name = chance(0.5) ? "x0" : "x1";
    const ContainerState state = containers_->state_of(name);
    const bool run = chance(0.5), force = chance(0.7);
    const ContainerVerb verb = run     ? ContainerVerb::run
                               : force ? ContainerVerb::remove_forced
                                       : ContainerVerb::remove;
    const auto asked = begin(run ? "container/run" : "container/rm", "");
    if (!send(asked,
              run ? Json::object({{"image", "x:1"},
                                  {"name", name},
                                  {"detach", chance(0.5)},
                                  {"rm", chance(0.5)}})
                  : Json::object({{"ids", std::vector<std::string>{name}}, {"force", force}})))
      return;
    if (meets(verb, state) == Meets::refuse)
      EXPECT_TRUE(asked->ends == 1 && asked->failed)
          << asked->verb << " in state " << static_cast<int>(state);
    else
      EXPECT_EQ(asked->ends, 0) << asked->verb << " in state " << static_cast<int>(state) << ": "
                                << asked->said;
  }

  /// What an answer says is so.
  void look_at_answer(const Asked& asked) {
    EXPECT_EQ(asked.ends, 1) << asked.verb;
    EXPECT_EQ(asked.said.find("was dropped"), std::string::npos) << asked.verb;
    Project* const project = projects_->find(asked.project);
    if (asked.failed || project == nullptr || asked.result["timed_out"].as_bool()) return;
    std::set<std::string> failed;
    for (const Json& service : asked.result["failed"].as_array())
      failed.insert(service.as_string());
    for (const auto& [service, before] : asked.instances) {
      const auto* unit = project->supervisor().find(service);
      EXPECT_TRUE(failed.contains(service) || unit == nullptr || unit->instance != before)
          << service << " was restarted, and is the same as before";
    }
  }

  void check() {
    if (testing::Test::HasFailure()) return;
    // Who waits for the end of a project is answered then, not before.
    std::erase_if(waiting_, [&](const auto& asked) {
      if (asked->ends == 0) return asked->gone;
      const bool over = projects_->state_of(asked->project) != ProjectState::going_down ||
                        asked->result["timed_out"].as_bool() || asked->failed;
      EXPECT_TRUE(over) << asked->verb << " ended before the project was down";
      return true;
    });
    std::erase_if(open_, [this](const auto& asked) {
      if (asked->ends != 0) look_at_answer(*asked);
      return asked->ends != 0 || asked->gone;
    });
    std::size_t containers = 0;
    for (const auto& process : processes_) {
      if (process->ended) continue;
      EXPECT_FALSE(process->let_go)
          << "nobody holds " << process->project << "/" << process->service;
      if (process->of == ModelProcess::Of::container) {
        ++containers;
        continue;
      }
      EXPECT_NE(projects_->state_of(process->project), ProjectState::down)
          << process->service << " runs, its project is down";
      EXPECT_EQ(removing_[process->project], 0) << "its data is being removed";
      if (process->of == ModelProcess::Of::session) continue;
      Project* project = projects_->find(process->project);
      const Supervisor::Unit* unit =
          project != nullptr ? project->supervisor().find(process->service) : nullptr;
      ASSERT_NE(unit, nullptr) << process->service;
      EXPECT_EQ(unit->instance, process->instance) << process->service;
      EXPECT_TRUE(unit->state.busy())
          << process->service << " runs and is " << to_string(unit->state.phase);
      if (unit->state.phase != Phase::stopping) {
        EXPECT_EQ(project::configuration_id(*process->config),
                  project::configuration_id(*unit->config))
            << process->service << " is " << to_string(unit->state.phase)
            << " on what it is to run no longer";
      }
    }
    EXPECT_EQ(containers_->running(), containers);
  }
  std::vector<std::shared_ptr<Asked>> asked_, open_, waiting_;
  bool stopping_ = false;
};

constexpr const char* kProject = R"([services.db]
type = "container"
image = "x:1"
health = { exec = ["true"] }
[services.web]
command = "COMMAND"
depends_on = { db = "healthy" }
restart = "always"
[services.app]
type = "cnb"
path = "app"
builder = "b:1"
)";
constexpr const char* kJob = R"([services.job]
command = "run"
depends_on = { db = "started" }
restart = "on-failure"
)";

TEST(Model, WhatRunsBelongsToAStateAndEveryRequestEndsOnce) {
  std::string home = "/dev/shm/locald-model-XXXXXX";
  if (::mkdtemp(home.data()) == nullptr) {
    home = "/tmp/locald-model-XXXXXX";
    ASSERT_NE(::mkdtemp(home.data()), nullptr);
  }
  for (const std::string name : {"a", "b"}) {
    const std::string dir = home + "/user/" + name;
    ASSERT_TRUE(make_dirs(dir + "/app"));
    const std::string head = "[project]\nname = \"" + name + "\"\n", text = kProject;
    const auto with = [&](std::string command) {
      std::string out = text;
      return out.replace(out.find("COMMAND"), 7, command);
    };
    ASSERT_TRUE(write_file_atomic(dir + "/1.toml", head + with("run") + kJob, 0600));
    ASSERT_TRUE(write_file_atomic(dir + "/2.toml", head + with("run other"), 0600));
  }
  const char* said = ::getenv("LOCALD_MODEL_SEED");
  std::uint64_t seed = said != nullptr ? std::strtoull(said, nullptr, 10) : 1;
  for (std::size_t events = 0; events < kEvents && !HasFailure(); events += kEventsOfAWorld) {
    SCOPED_TRACE("again with LOCALD_MODEL_SEED=" + std::to_string(seed));
    Random random(seed++);
    Model model(home, random);
    for (std::size_t i = 0; i < kEventsOfAWorld && !HasFailure(); ++i) model.step();
    if (!HasFailure()) model.settle();
    if (!HasFailure()) model.stop_all();
  }
  (void)remove_tree(home);
}

}  // namespace
}  // namespace locald::server
