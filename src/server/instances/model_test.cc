// Random verbs at random times against projects, containers and sessions on fakes: what runs
// belongs to a state that says so, every request ends exactly once, what the table of admission.h
// says is what happens, and all ends when it is told to.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <random>

#include "base/loop/event_loop_testing.h"
#include "base/sys/fs_at.h"
#include "runtime/fake_process.h"
#include "server/instances/containers.h"
#include "server/instances/sessions.h"
#include "server/projects/projects.h"

namespace locald::server {
namespace {

constexpr std::size_t kEvents = 1'000'000, kEventsOfAWorld = 2'000;

using Random = std::mt19937_64;

struct Asked {
  std::string verb, project;
  int ends = 0;
  bool failed = false, gone = false, joined = false;
  std::string said;
  Json result;
  std::function<void()> hangup;
};

class Sink final : public ReplySink {
 public:
  explicit Sink(std::shared_ptr<Asked> asked) : asked_(std::move(asked)) {}
  void event(const Json&) override {}
  void result(Json result) override {
    ++asked_->ends;
    asked_->result = std::move(result);
  }
  void error(const Error& error, const Json::Object&) override {
    ++asked_->ends;
    asked_->failed = true;
    asked_->said = error.message();
  }
  void on_hangup(std::function<void()> gone) override { asked_->hangup = std::move(gone); }
  bool connected() const override { return asked_->ends == 0 && !asked_->gone; }

 private:
  std::shared_ptr<Asked> asked_;
};

/// What runs, in words.
struct Process : runtime::FakeProcess {
  enum class Of { service, session, container } of;
  std::string project, service;
  std::shared_ptr<const project::ServiceConfig> config;
};

/// One server on fakes, from its start to `server stop --all`.
class Model final : public Launcher {
 public:
  Model(const std::string& home, Random& random) : home_(home), random_(random) {
    paths_.emplace(Paths::from_env(
                       [&](const std::string& n) {
                         return n == "LOCALD_HOME" ? std::optional(home) : std::nullopt;
                       },
                       1000)
                       .value());
    EXPECT_TRUE(paths_->create());
    environment_.emplace(builder::Environment::Options{.paths = *paths_, .server_binary = ""});
    std::string notice;
    projects_.emplace(
        Projects::Deps{
            loop_, *this, *paths_, jobs_, network_, listeners_, environment_->shared(),
            [this](const RunningApp&, const auto&, std::function<void(Result<Json>)> done) {
              std::stop_source stop;
              pend([this, stop, done = std::move(done)] {
                if (stop.stop_requested())
                  done(Error(Errc::cancelled, "cancelled"));
                else if (chance(0.3))
                  done(Error(Errc::failed, "the build failed"));
                else
                  done(Json::object({{"generation", static_cast<int>(pick(3))}}));
              });
              return JobPool::Job(stop);
            },
            [this](const std::string& project, bool, auto done) {
              ++removing_[project];
              pend([this, project, done = std::move(done)] {
                --removing_[project];
                done(result(0.1));
              });
            },
            [this](const std::string& project, auto done) {
              sessions_->end(project, std::move(done));
            }},
        ProjectRegistry::load(paths_->projects_file(), notice).value());
    const auto clean = [this](const std::string&, const std::string&, auto done) {
      pend([this, done = std::move(done)] { done(result(0.1)); });
    };
    sessions_.emplace(Sessions::Deps{loop_, *environment_, *projects_,
                                     [this](const std::string&, const Sessions::Start&,
                                            std::function<void(Sessions::Started)> done) {
                                       start(Process::Of::session, asking_->project, {}, {},
                                             std::move(done));
                                     },
                                     clean});
    containers_.emplace(
        Containers::load({loop_, *environment_, *paths_,
                          [this](const std::string&, const Containers::Start&,
                                 std::function<void(Containers::Started)> done) {
                            return start(Process::Of::container, {}, {}, {}, std::move(done));
                          },
                          clean,
                          [this](const std::string&, const std::string&, auto done) {
                            pend([done = std::move(done)] { done({}); });
                          }},
                         notice)
            .value());
  }

  // Launcher.
  JobPool::Job launch(const LaunchRequest& request, LaunchEvents events) override {
    ++launches_[request.project];
    return start(Process::Of::service, request.project, request.instance, request.config,
                 std::move(events.done));
  }
  Json content(const LaunchRequest&) const override { return {}; }
  void clean(const std::string&, const std::string&,
             std::function<void(Result<void>)> done) override {
    pend([this, done = std::move(done)] { done(result(0.1)); });
  }
  const net::Network& network() const override { return network_; }
  JobPool::Job find_endpoint(int, std::uint16_t,
                             std::function<void(Result<net::EndpointLook>)> done) override {
    pend([done = std::move(done)] { done(net::EndpointLook()); });
    return {};
  }
  std::unique_ptr<Prober> make_prober(const LaunchRequest&) override {
    return std::make_unique<ModelProber>(*this);
  }

  /// One random event, and what follows from it by itself.
  void step() {
    const double dice = std::uniform_real_distribution<>(0, 1)(random_);
    if (dice < 0.06)
      ask();
    else if (dice < 0.065)
      hang_up();
    else if (dice < 0.50)
      finish_pending();
    else if (dice < 0.90)
      let_happen();
    else
      time_.advance(std::chrono::milliseconds(pick(400)));
    drain();
    check();
  }

  /// `server stop --all`, and all that happens until it has ended.
  void stop_all() {
    bool done = false;
    stopping_ = true;
    projects_->bring_all_down([this, &done] {
      containers_->stop_all([this, &done] { sessions_->stop_all([&done] { done = true; }); });
    });
    for (int steps = 0; !done && steps < 100'000; ++steps) {
      step();
      if (steps % 100 == 0) time_.advance(std::chrono::seconds(60));
    }
    ASSERT_TRUE(done) << "the server does not come to its end: " << describe();
    // What was asked while it stopped is finished, or called off by the end of the process.
    while (!pending_.empty()) {
      finish_pending();
      drain();
    }
    for (const auto& process : processes_)
      EXPECT_TRUE(process->ended) << process->project << "/" << process->service << " lives on";
    EXPECT_EQ(starting_, 0);
    for (const auto& asked : asked_)
      EXPECT_TRUE(asked->ends == 1 || asked->gone) << asked->verb << " got no answer";
  }

  std::size_t asked() const { return count_; }

 private:
  class ModelProber final : public Prober {
   public:
    explicit ModelProber(Model& model) : model_(model) {}
    ~ModelProber() override { cancel(); }
    void start(project::Milliseconds, Done done) override {
      cancel();
      live_ = std::make_shared<bool>(true);
      model_.pend([&model = model_, live = live_, done = std::move(done)] {
        if (*live) done(model.result(0.3));
      });
    }
    void cancel() override {
      if (live_) *live_ = false;
    }

   private:
    Model& model_;
    std::shared_ptr<bool> live_;
  };

  std::size_t pick(std::size_t below) { return static_cast<std::size_t>(random_() % below); }
  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  Result<void> result(double failures) {
    if (chance(failures)) return Error(Errc::failed, "as it happens");
    return {};
  }
  void pend(std::function<void()> work) { pending_.push_back(std::move(work)); }
  void drain() {
    loop_.io().poll();
    loop_.io().restart();
  }

  using Started = Result<std::unique_ptr<runtime::ServiceHandle>>;
  JobPool::Job start(Process::Of of, const std::string& project, const std::string& instance,
                     const std::shared_ptr<const project::ServiceConfig>& config,
                     std::function<void(Started)> done) {
    std::stop_source stop;
    auto process = std::make_shared<Process>();
    process->of = of;
    process->project = project;
    process->service = config ? config->name : "";
    process->config = config;
    process->instance = instance.empty() ? std::to_string(++count_) : instance;
    process->shim_pid = 0;  // nobody is to look for its ports
    ++starting_;
    pend([this, stop, process, done = std::move(done)] {
      --starting_;
      // A cancellation may come too late.
      if (chance(stop.stop_requested() ? 0.7 : 0.1))
        return done(Error(stop.stop_requested() ? Errc::cancelled : Errc::failed, "no start"));
      processes_.push_back(process);
      done(process->handle());
    });
    return JobPool::Job(stop);
  }

  void finish_pending() {
    if (pending_.empty()) return;
    std::swap(pending_[pick(pending_.size())], pending_.back());
    const auto work = std::move(pending_.back());
    pending_.pop_back();
    work();
  }

  /// Something happens to one of the processes.
  void let_happen() {
    if (processes_.empty()) return;
    const std::size_t at = pick(processes_.size());
    const auto process = processes_[at];
    if (process->ended) {
      std::swap(processes_[at], processes_.back());
      processes_.pop_back();
      return;
    }
    if (!process->events.exited) return;
    if (!process->running && chance(0.7)) return process->start();
    if (!chance(process->stops.empty() ? 0.03 : 0.5)) return;
    runtime::ExitStatus status;
    status.code = static_cast<int>(pick(2));
    status.never_ran = !process->running && chance(0.5);
    process->exit(status);
  }

  /// What there is, for a person who looks why.
  std::string describe() {
    std::string out;
    for (const std::string name : {"a", "b"}) {
      out += name + " in state " + std::to_string(static_cast<int>(projects_->state_of(name)));
      if (Project* project = projects_->find(name))
        for (const auto& [service, unit] : project->supervisor().units())
          out += ", " + service + " " + std::string(to_string(unit.state.phase)) +
                 (project->supervisor().quiet(service) ? " (quiet)" : "");
      out += "; ";
    }
    for (const std::string name : {"x0", "x1"})
      out += name + " in state " + std::to_string(static_cast<int>(containers_->state_of(name))) +
             "; ";
    for (const auto& process : processes_)
      if (!process->ended)
        out += "runs: " + std::to_string(static_cast<int>(process->of)) + " " + process->project +
               "/" + process->service + (process->stops.empty() ? "; " : " (told to stop); ");
    return out + std::to_string(pending_.size()) + " jobs, " + std::to_string(starting_) +
           " starting";
  }

  void hang_up() {
    if (asked_.empty()) return;
    const auto asked = asked_[pick(asked_.size())];
    if (asked->ends != 0 || asked->gone) return;
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

  template <class R>
  static void call(Projects& projects, void (Projects::*member)(const R&, const ReplyPtr&),
                   const Json& body, const ReplyPtr& reply) {
    (projects.*member)(*decode<R>(body, Reading::tolerant), reply);
  }
  template <auto Member>
  static void handle(Projects& projects, const Json& body, const ReplyPtr& reply) {
    call(projects, Member, body, reply);
  }

  void ask() {
    struct Verb {
      const char* name;
      void (*handle)(Projects&, const Json&, const ReplyPtr&);
      ProjectVerb verb;
      int weight;
    };
    static const Verb kVerbs[] = {{"up", handle<&Projects::up>, ProjectVerb::up, 12},
                                  {"down", handle<&Projects::down>, ProjectVerb::down, 10},
                                  {"start", handle<&Projects::start>, ProjectVerb::start, 14},
                                  {"stop", handle<&Projects::stop>, ProjectVerb::stop, 10},
                                  {"restart", handle<&Projects::restart>, ProjectVerb::restart, 14},
                                  {"kill", handle<&Projects::kill>, ProjectVerb::kill, 2},
                                  {"watch", handle<&Projects::watch>, ProjectVerb::watch, 3},
                                  {"status", handle<&Projects::status>, ProjectVerb::status, 2}};
    const std::string project = chance(0.5) ? "a" : "b";
    const Json body = body_of(project);
    auto asked = std::make_shared<Asked>();
    asked->project = project;
    std::erase_if(asked_, [](const auto& a) { return a->ends != 0 || a->gone; });
    asked_.push_back(asked);
    asking_ = asked;
    const auto reply = std::make_shared<Reply>(std::make_unique<Sink>(asked));
    const std::size_t dice = pick(100);
    if (dice >= 85) return ask_container(asked, reply);
    if (dice >= 67) {
      asked->verb = "exec";
      return ask_project(asked, ProjectVerb::exec, [&] {
        if (meets("exec", server()) == Meets::refuse)
          reply->error(Error(Errc::cancelled, "the server is stopping"));
        else
          sessions_->exec(*decode<ipc::ExecRequest>(body, Reading::tolerant), reply);
      });
    }
    std::size_t left = dice;
    for (const Verb& verb : kVerbs) {
      if (left >= static_cast<std::size_t>(verb.weight)) {
        left -= static_cast<std::size_t>(verb.weight);
        continue;
      }
      asked->verb = verb.name;
      return ask_project(asked, verb.verb, [&] {
        if (meets(verb.name, server()) == Meets::refuse)
          reply->error(Error(Errc::cancelled, "the server is stopping"));
        else
          verb.handle(*projects_, body, reply);
      });
    }
  }

  ServerState server() const { return stopping_ ? ServerState::stopping : ServerState::serving; }

  /// What the table says is what happens.
  void ask_project(const std::shared_ptr<Asked>& asked, ProjectVerb verb,
                   const std::function<void()>& call) {
    const ProjectState state = projects_->state_of(asked->project);
    const Meets expected = meets(verb, state);
    const int before = launches_[asked->project];
    call();
    if (meets(asked->verb, server()) == Meets::refuse) return;
    switch (expected) {
      case Meets::refuse:
        EXPECT_TRUE(asked->ends == 1 && asked->failed)
            << asked->verb << " in state " << static_cast<int>(state);
        EXPECT_EQ(launches_[asked->project], before) << asked->verb;
        break;
      case Meets::queue:
      case Meets::join:
        // A service that is not there is said at once.
        asked->joined = asked->ends == 0;
        EXPECT_TRUE(asked->ends == 0 || asked->failed) << asked->verb;
        EXPECT_EQ(launches_[asked->project], before) << asked->verb;
        if (asked->joined) waiting_.push_back(asked);
        break;
      case Meets::go:
        break;
    }
  }

  void ask_container(const std::shared_ptr<Asked>& asked, const ReplyPtr& reply) {
    const std::string name = chance(0.5) ? "x0" : "x1";
    const ContainerState state = containers_->state_of(name);
    ContainerVerb verb = ContainerVerb::run;
    if (chance(0.5)) {
      asked->verb = "container/run";
      if (stopping_) return reply->error(Error(Errc::cancelled, "the server is stopping"));
      ipc::ContainerRunRequest request;
      request.image = "x:1";
      request.name = name;
      request.detach = chance(0.5);
      request.rm = chance(0.5);
      containers_->run(request, reply);
    } else {
      asked->verb = "container/rm";
      const bool force = chance(0.7);
      verb = force ? ContainerVerb::remove_forced : ContainerVerb::remove;
      containers_->remove({{name}, force}, reply);
    }
    if (meets(verb, state) == Meets::refuse)
      EXPECT_TRUE(asked->ends == 1 && asked->failed)
          << asked->verb << " in state " << static_cast<int>(state);
    else
      EXPECT_EQ(asked->ends, 0) << asked->verb << " in state " << static_cast<int>(state) << ": "
                                << asked->said;
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
    for (const auto& asked : asked_)
      EXPECT_EQ(asked->said.find("let go"), std::string::npos) << asked->verb;
    std::size_t containers = 0;
    for (const auto& process : processes_) {
      if (process->ended) continue;
      EXPECT_FALSE(process->let_go)
          << "nobody holds " << process->project << "/" << process->service;
      if (process->of == Process::Of::container) {
        ++containers;
        continue;
      }
      EXPECT_NE(projects_->state_of(process->project), ProjectState::down)
          << process->service << " runs, its project is down";
      EXPECT_EQ(removing_[process->project], 0) << "its data is being removed";
      if (process->of == Process::Of::session) continue;
      Project* project = projects_->find(process->project);
      const Supervisor::Unit* unit =
          project != nullptr ? project->supervisor().find(process->service) : nullptr;
      ASSERT_NE(unit, nullptr) << process->service;
      EXPECT_EQ(unit->instance, process->instance) << process->service;
      EXPECT_TRUE(unit->state.busy())
          << process->service << " runs and is " << to_string(unit->state.phase);
    }
    EXPECT_EQ(containers_->running(), containers);
  }

  const std::string home_;
  Random& random_;
  ManualTime time_;
  EventLoop loop_;
  net::HostNetwork network_;
  JobPool jobs_{loop_, 1};  // none runs
  const runtime::ListenerSearch listeners_;
  std::optional<Paths> paths_;
  std::optional<builder::Environment> environment_;
  std::vector<std::function<void()>> pending_;
  std::vector<std::shared_ptr<Process>> processes_;
  std::vector<std::shared_ptr<Asked>> asked_, waiting_;
  std::shared_ptr<Asked> asking_;
  std::map<std::string, int> launches_, removing_;
  std::size_t count_ = 0;
  int starting_ = 0;
  bool stopping_ = false;
  std::optional<Projects> projects_;
  std::optional<Sessions> sessions_;
  std::optional<Containers> containers_;
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
    if (!HasFailure()) model.stop_all();
  }
  (void)remove_tree(home);
}

}  // namespace
}  // namespace locald::server
