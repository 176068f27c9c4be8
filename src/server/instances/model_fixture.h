#pragma once
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/loop/event_loop_testing.h"
#include "runtime/fake_process.h"
#include "server/api/api.h"

/// For the model test: a server whose projects, containers and sessions are real and whose processes
/// and jobs are fakes, that go their way when the test says so.
namespace locald::server {

using Random = std::mt19937_64;

/// A request, and what became of it.
struct Asked {
  std::string verb, project;
  int ends = 0;
  bool failed = false, gone = false, joined = false;
  std::map<std::string, std::string> instances = {};  ///< of a restart: what ran before it
  std::string said;
  Json result;
  std::function<void()> hangup;
};

class AskedSink final : public ReplySink {
 public:
  explicit AskedSink(std::shared_ptr<Asked> asked) : asked_(std::move(asked)) {}
  void event(const JsonText&) override {}
  void result(const JsonText& result) override {
    ++asked_->ends;
    asked_->result = Json::parse(result.str()).value();
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
struct ModelProcess : runtime::FakeProcess {
  enum class Of { service, session, container } of = Of::service;
  std::string project, service;
  std::shared_ptr<const project::ServiceConfig> config;
  bool announced = false;  ///< that it runs, to its owner
  std::uint64_t life = 0;
  int restarts = 0;
  runtime::ExitStatus end;

  bool told_to_stop() const { return !stops.empty(); }
};
/// From its start on; a test decides what happens next.
class ModelWorld : public Launcher {
 public:
  ModelWorld(const std::string& home, Random& random) : home_(home), random_(random) {
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
    store_.emplace(StoreCare::Deps{*environment_, jobs_, *projects_});
    copies_.emplace(Copies::Deps{*environment_, jobs_, *projects_});
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
                                       start(ModelProcess::Of::session, asking_, {}, {},
                                             std::move(done));
                                     },
                                     clean});
    containers_.emplace(
        Containers::load({loop_, *environment_, *paths_,
                          [this](const std::string&, const Containers::Start&,
                                 std::function<void(Containers::Started)> done) {
                            return start(ModelProcess::Of::container, {}, {}, {}, std::move(done));
                          },
                          clean,
                          [this](const std::string&, const std::string&, auto done) {
                            pend([done = std::move(done)] { done({}); });
                          }},
                         notice)
            .value());
    api_.emplace(Api::Deps{loop_, *paths_, jobs_, *projects_, *sessions_, *containers_, *images_,
                           *store_, *copies_, *builds_, *real_launcher_, user_namespace_, "runc",
                           [this] { ++ends_; }});
  }

  // Launcher.
  JobPool::Job launch(const LaunchRequest& request, LaunchEvents events) override {
    ++launches_[request.project];
    return start(ModelProcess::Of::service, request.project, request.instance, request.config,
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

 protected:
  class ModelProber final : public Prober {
   public:
    explicit ModelProber(ModelWorld& model) : model_(model) {}
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
    ModelWorld& model_;
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
  JobPool::Job start(ModelProcess::Of of, const std::string& project, const std::string& instance,
                     const std::shared_ptr<const project::ServiceConfig>& config,
                     std::function<void(Started)> done, std::uint64_t life = 0, int restarts = 0) {
    std::stop_source stop;
    auto process = std::make_shared<ModelProcess>();
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

  const std::string home_;
  Random& random_;
  ManualTime time_;
  EventLoop loop_;
  JobPool jobs_{loop_, 1};  // none runs
  const runtime::ListenerSearch listeners_;
  std::optional<Paths> paths_;
  std::optional<builder::Environment> environment_;
  std::vector<std::function<void()>> pending_;
  std::vector<std::shared_ptr<ModelProcess>> processes_;
  std::map<std::string, std::shared_ptr<ModelProcess>> uncleaned_;  // have ended; by instance
  std::string asking_;  ///< the project that is asked about right now
  std::map<std::string, int> launches_, removing_;
  std::size_t count_ = 0;
  int starting_ = 0, ends_ = 0;
  bool calm_ = false;  ///< nothing goes wrong
  net::HostNetwork network_;
  runtime::UserNamespace user_namespace_{""};
  std::optional<runtime::ProcessRuntime> runtime_;
  std::optional<RuntimeLauncher> real_launcher_;
  std::optional<Builds> builds_;
  std::optional<Images> images_;
  std::optional<StoreCare> store_;
  std::optional<Copies> copies_;
  std::optional<Projects> projects_;
  std::optional<Sessions> sessions_;
  std::optional<Containers> containers_;
  std::optional<Api> api_;
};

}  // namespace locald::server
