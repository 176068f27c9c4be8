// Random requests at random times to a server whose projects, containers and sessions are real and
// whose processes and jobs are fakes: what runs belongs to a state that says so, every request ends
// exactly once and by itself, what the tables of admission.h say is what happens, and all ends when
// it is told to.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <random>

#include "base/loop/event_loop_testing.h"
#include "base/sys/fs_at.h"
#include "runtime/fake_process.h"
#include "server/api/api.h"

namespace locald::server {
namespace {

constexpr std::size_t kEvents = 1'000'000, kEventsOfAWorld = 2'000;

using Random = std::mt19937_64;

struct Asked {
  std::string verb, project;
  int ends = 0;
  bool failed = false, gone = false, joined = false;
  std::map<std::string, std::string> instances = {};  ///< of a restart: what ran before it
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
  bool connected() const override { return !asked_->gone; }

 private:
  std::shared_ptr<Asked> asked_;
};

/// What runs, in words.
struct Process : runtime::FakeProcess {
  enum class Of { service, session, container } of = Of::service;
  std::string project, service;
  std::shared_ptr<const project::ServiceConfig> config;
  bool announced = false;  ///< that it runs, to its owner
  std::uint64_t life = 0;
  int restarts = 0;
  runtime::ExitStatus end;

  bool told_to_stop() const { return !stops.empty(); }
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
    runtime_.emplace(runtime::ProcessRuntime::Options{*paths_, "", "", [] { return Result(-1); }});
    real_launcher_.emplace(RuntimeLauncher::Deps{loop_, *runtime_, *environment_, *paths_,
                                                 user_namespace_, listeners_, network_});
    builds_.emplace(Builds::Deps{loop_, *environment_});
    images_.emplace(Images::Deps{loop_, *environment_, jobs_});
    begin_server();
  }

  /// On what the one before has left on disk.
  void begin_server() {
    std::string notice;
    projects_.emplace(
        Projects::Deps{
            loop_, *this, *paths_, jobs_, network_, listeners_, environment_->shared(),
            [this](const RunningApp&, const auto&, std::function<void(Result<Json>)> done) {
              std::stop_source stop;
              pend([this, stop, done = std::move(done)] {
                if (stop.stop_requested())
                  done(Error(Errc::cancelled, "cancelled"));
                else if (goes_wrong(0.3))
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
    const auto clean = [this](const std::string& instance, const std::string&, auto done) {
      pend([this, instance, done = std::move(done)] {
        uncleaned_.erase(instance);
        done(result(0.1));
      });
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
    api_.emplace(Api::Deps{loop_, *paths_, jobs_, *projects_, *sessions_, *containers_, *images_,
                           *builds_, *real_launcher_, user_namespace_, "runc",
                           [this] { ++ends_; }});
  }

  // Launcher.
  JobPool::Job launch(const LaunchRequest& request, LaunchEvents events) override {
    ++launches_[request.project];
    return start(Process::Of::service, request.project, request.instance, request.config,
                 std::move(events.done), request.life, request.restarts);
  }
  Json content(const LaunchRequest&) const override { return {}; }
  void clean(const std::string& instance, const std::string&,
             std::function<void(Result<void>)> done) override {
    pend([this, instance, done = std::move(done)] {
      uncleaned_.erase(instance);
      done(result(0.1));
    });
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
  bool goes_wrong(double p) { return !calm_ && chance(p); }
  Result<void> result(double failures) {
    if (goes_wrong(failures)) return Error(Errc::failed, "as it happens");
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
                     std::function<void(Started)> done, std::uint64_t life = 0, int restarts = 0) {
    std::stop_source stop;
    auto process = std::make_shared<Process>();
    process->of = of;
    process->project = project;
    process->service = config ? config->name : "";
    process->config = config;
    process->life = life;
    process->restarts = restarts;
    process->instance = instance.empty() ? std::to_string(++count_) : instance;
    process->nonce = "n";
    process->shim_pid = 0;  // nobody is to look for its ports
    ++starting_;
    pend([this, stop, process, done = std::move(done)] {
      --starting_;
      // A cancellation may come too late.
      if (stop.stop_requested() ? chance(0.7) : goes_wrong(0.1))
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
    if (!process->announced && chance(0.7)) {
      process->announced = true;
      return process->start();
    }
    if (process->told_to_stop() ? !chance(0.5) : !goes_wrong(0.03)) return;
    process->end = {};
    process->end.code = static_cast<int>(pick(2));
    process->end.never_ran = !process->running && goes_wrong(0.5);
    uncleaned_[process->instance] = process;
    process->exit(process->end);
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
               "/" + process->service + (process->told_to_stop() ? " (told to stop); " : "; ");
    return out + std::to_string(pending_.size()) + " jobs, " + std::to_string(starting_) +
           " starting";
  }

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
    };
    std::map<std::string, Before> before;
    for (const std::string name : {"a", "b"})
      if (Project* project = projects_->find(name)) {
        Before& b = before[name] = {projects_->state_of(name)};
        for (const auto& [service, unit] : project->supervisor().units())
          if (project->find(service) != nullptr)  // one that the file no longer has is just ended
            b.wanted[service] = project->wanted(service);
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
    std::vector<std::shared_ptr<Process>> found;
    for (const auto& process : processes_)
      if (!process->ended) found.push_back(process);
    for (const auto& [instance, process] : uncleaned_) found.push_back(process);
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a->life > b->life; });
    std::map<std::string, std::set<std::string>> adopted;
    for (const auto& process : found) {
      process->announced = process->let_go = false;
      process->events = {};
      std::unique_ptr<runtime::ServiceHandle> live;
      if (!process->ended) live = process->handle();
      Project* const project = projects_->find(process->project);
      if (process->of == Process::Of::container) {
        uncleaned_.erase(process->instance);
      } else if (process->of == Process::Of::session || project == nullptr ||
                 project->supervisor().find(process->service) == nullptr ||
                 !adopted[process->project].insert(process->service).second) {
        EXPECT_TRUE(process->of == Process::Of::session || live == nullptr)
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
    asking_ = asked;
    return asked;
  }
  static ReplyPtr reply_to(const std::shared_ptr<Asked>& asked) {
    return std::make_shared<Reply>(std::make_unique<Sink>(asked));
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
  JobPool jobs_{loop_, 1};  // none runs
  const runtime::ListenerSearch listeners_;
  std::optional<Paths> paths_;
  std::optional<builder::Environment> environment_;
  std::vector<std::function<void()>> pending_;
  std::vector<std::shared_ptr<Process>> processes_;
  std::map<std::string, std::shared_ptr<Process>> uncleaned_;  // have ended; by instance
  std::vector<std::shared_ptr<Asked>> asked_, open_, waiting_;
  std::shared_ptr<Asked> asking_;
  std::map<std::string, int> launches_, removing_;
  std::size_t count_ = 0;
  int starting_ = 0, ends_ = 0;
  bool stopping_ = false, calm_ = false;
  net::HostNetwork network_;
  runtime::UserNamespace user_namespace_{""};
  std::optional<runtime::ProcessRuntime> runtime_;
  std::optional<RuntimeLauncher> real_launcher_;
  std::optional<Builds> builds_;
  std::optional<Images> images_;
  std::optional<Projects> projects_;
  std::optional<Sessions> sessions_;
  std::optional<Containers> containers_;
  std::optional<Api> api_;
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
