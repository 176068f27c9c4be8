#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/loop/event_loop.h"
#include "server/supervise/launcher.h"

namespace locald::server {

/// For tests: services that run only in words. What was asked for is recorded;
/// what happens is said by the test (`run`, `exit`), or happens at once (`obedient`).
class FakeLauncher final : public Launcher {
 public:
  explicit FakeLauncher(EventLoop& loop) : loop_(loop) {}

  struct Process {
    std::string service, instance, nonce;
    std::shared_ptr<const project::ServiceConfig> config;
    std::shared_ptr<const project::UserContext> user;
    runtime::ServiceHandle::Events events;
    std::function<void(Result<std::unique_ptr<runtime::ServiceHandle>>)> done;
    std::function<void(net::Verdict)> probed;
    std::vector<int> stops;  ///< signals of stop()
    bool listening = false, running = false, ended = false;
  };

  bool obedient = true;          ///< processes run at once, and end when told to stop
  std::set<std::string> built;   ///< whose last launch takes the build that is there
  bool hold_launches = false;    ///< launches stay in preparation until finish_launch()
  std::vector<std::string> log;  ///< "launch web", "stop web 15", "clean web"
  std::vector<std::shared_ptr<Process>> processes;

  /// The last start of a service.
  Process& of(const std::string& service) {
    for (auto it = processes.rbegin(); it != processes.rend(); ++it)
      if ((*it)->service == service) return **it;
    std::abort();
  }
  int launches(const std::string& service) const {
    int n = 0;
    for (const auto& p : processes) n += p->service == service ? 1 : 0;
    return n;
  }

  void run(const std::string& service, int pid = 100) { started(find(service), pid); }
  void exit(const std::string& service, int code) {
    runtime::ExitStatus status;
    status.code = code;
    exited(find(service), status);
  }
  void exit(const std::string& service, const runtime::ExitStatus& status) {
    exited(find(service), status);
  }
  void finish_launch(const std::string& service, std::optional<Error> error = std::nullopt) {
    const auto p = find(service);
    if (error)
      p->done(*error);
    else
      p->done(std::unique_ptr<runtime::ServiceHandle>(new Handle(*this, p)));
  }
  void answer_probe(const std::string& service, bool healthy) {
    if (healthy)
      answer_probe(service, net::Verdict(Result<void>()));
    else
      answer_probe(service, net::Verdict(Error(Errc::failed, "not yet")));
  }
  void answer_probe(const std::string& service, const net::Verdict& verdict) {
    const auto probed = std::exchange(find(service)->probed, nullptr);
    if (probed) probed(verdict);
  }

  JobPool::Job launch(const LaunchRequest& request, LaunchEvents events) override {
    if (request.built)
      built.insert(request.config->name);
    else
      built.erase(request.config->name);
    auto p = std::make_shared<Process>();
    p->service = request.config->name;
    p->instance = request.instance;
    p->nonce = request.nonce;
    p->config = request.config;
    p->user = request.user;
    p->done = std::move(events.done);
    processes.push_back(p);
    log.push_back("launch " + p->service);
    if (!hold_launches)
      loop_.post(
          [this, p] { p->done(std::unique_ptr<runtime::ServiceHandle>(new Handle(*this, p))); });
    return {};
  }

  std::map<std::string, Json> contents;  ///< service -> what content() says
  Json content(const LaunchRequest& request) const override {
    const auto found = contents.find(request.config->name);
    return found == contents.end() ? Json() : found->second;
  }

  void clean(const std::string& instance, const std::string&,
             std::function<void(Result<void>)> done) override {
    for (const auto& p : processes)
      if (p->instance == instance) log.push_back("clean " + p->service);
    loop_.post([done = std::move(done)] { done({}); });
  }

  const net::Network& network() const override { return network_; }
  net::EndpointLook look;  ///< what find_endpoint() finds
  JobPool::Job find_endpoint(int, std::uint16_t,
                             std::function<void(Result<net::EndpointLook>)> done) override {
    loop_.post([done = std::move(done), found = look] { done(found); });
    return {};
  }

  std::unique_ptr<Prober> make_prober(const LaunchRequest& request) override {
    return std::make_unique<FakeProber>(find(request.config->name));
  }

  class Handle final : public runtime::ServiceHandle {
   public:
    Handle(FakeLauncher& owner, std::shared_ptr<Process> process)
        : owner_(owner), process_(std::move(process)) {}
    void listen(EventLoop&, Events events) override {
      process_->events = std::move(events);
      process_->listening = true;
      if (owner_.obedient)
        owner_.loop_.post([&owner = owner_, p = process_] { owner.started(p, 100); });
    }
    const std::string& instance() const override { return process_->instance; }
    const std::string& nonce() const override { return process_->nonce; }
    std::string control_socket() const override {
      return "/run/svc/" + process_->instance + "/ctl.sock";
    }
    int shim_pid() const override { return 99; }
    int pid() const override { return process_->running ? 100 : 0; }
    Result<void> signal(int) override { return {}; }
    Result<void> stop(int number, std::chrono::milliseconds) override {
      process_->stops.push_back(number);
      owner_.log.push_back("stop " + process_->service + " " + std::to_string(number));
      if (owner_.obedient || number == 9) {
        runtime::ExitStatus status;
        status.signal = number;
        owner_.loop_.post([&owner = owner_, p = process_, status] { owner.exited(p, status); });
      }
      return {};
    }

   private:
    FakeLauncher& owner_;
    std::shared_ptr<Process> process_;
  };

 private:
  class FakeProber final : public Prober {
   public:
    explicit FakeProber(std::shared_ptr<Process> process) : process_(std::move(process)) {}
    void start(project::Milliseconds, Done done) override { process_->probed = std::move(done); }
    void cancel() override { process_->probed = nullptr; }

   private:
    std::shared_ptr<Process> process_;
  };

  std::shared_ptr<Process> find(const std::string& service) {
    for (auto it = processes.rbegin(); it != processes.rend(); ++it)
      if ((*it)->service == service) return *it;
    std::abort();
  }
  void started(const std::shared_ptr<Process>& p, int pid) {
    if (p->running || p->ended || !p->listening) return;
    p->running = true;
    p->events.started(pid);
  }
  void exited(const std::shared_ptr<Process>& p, const runtime::ExitStatus& status) {
    if (p->ended || !p->listening) return;
    p->ended = true;
    p->running = false;
    p->events.exited(status);
  }

  EventLoop& loop_;
  net::HostNetwork network_;
};

/// Runs what is posted and due until nothing is left to do for `quiet`.
inline void run_for(EventLoop& loop,
                    std::chrono::milliseconds time = std::chrono::milliseconds(20)) {
  const auto handle = loop.after(time, [&loop] { loop.stop(); });
  loop.run();
  loop.io().restart();  // it was stopped, and is to run again
}

/// The same until `condition` holds, at most two seconds: however busy the machine is.
template <typename F>
void run_until(EventLoop& loop, F condition) {
  const auto end = EventLoop::Clock::now() + std::chrono::seconds(2);
  while (!condition() && EventLoop::Clock::now() < end) run_for(loop, std::chrono::milliseconds(2));
}

}  // namespace locald::server
