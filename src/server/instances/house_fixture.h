#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/sys/fs_at.h"
#include "runtime/fake_process.h"
#include "server/instances/adoption.h"
#include "server/supervise/fake_launcher.h"

namespace locald::server {

/// What a request was answered.
struct Answer {
  int ends = 0;
  std::string error;  ///< empty: a result
  Json result;
  bool hung_up = false;
  std::function<void()> on_hangup;

  void hang_up() {
    hung_up = true;
    if (on_hangup) on_hangup();
  }
};

/// A server of fakes: the test says when a start or a cleanup is over, and what happens to what
/// runs. Dropping it is the death of the server.
class House {
 public:
  using Started = Result<std::unique_ptr<runtime::ServiceHandle>>;
  using Found = runtime::ProcessRuntime::Found;

  EventLoop loop;
  FakeLauncher launcher{loop};
  std::vector<std::function<void(Started)>> starting;  ///< sessions and containers, oldest first
  struct Cleaning {
    std::string what;  ///< "clean ID", "discard ID"
    std::function<void(Result<void>)> done;
  };
  std::vector<Cleaning> cleaning;
  std::vector<std::string> logged;
  std::vector<int> lived;  ///< shims that adoption has found alive

  explicit House(const std::string& home)
      : paths_(Paths::from_env(
                   [&](const std::string& name) {
                     return name == "LOCALD_HOME" ? std::optional(home) : std::nullopt;
                   },
                   1000)
                   .value()) {
    EXPECT_TRUE(paths_.create());
    EXPECT_TRUE(make_dirs(paths_.run_projects()));
    std::string notice;
    projects.emplace(
        Projects::Deps{loop,
                       launcher,
                       paths_,
                       jobs_,
                       network_,
                       listeners_,
                       environment_.shared(),
                       {},
                       [this](const std::string&, bool, std::function<void(Result<void>)> done) {
                         loop.post([done = std::move(done)] { done({}); });
                       },
                       [this](const std::string& project, std::function<void()> done) {
                         sessions->end(project, std::move(done));
                       },
                       &*unmanaged},
        ProjectRegistry::load(paths_.projects_file(), notice).value());
    sessions.emplace(Sessions::Deps{
        loop, environment_, *projects,
        [this](const std::string&, const Sessions::Start&, std::function<void(Started)> done) {
          starting.push_back(std::move(done));
        },
        job("clean "), &launcher, nullptr,
        [this](const std::string&, const project::ServiceConfig& config,
               std::function<void(Result<void>)> done) {
          cleaning.push_back({"discard " + config.name, std::move(done)});
        }});
    containers.emplace(Containers::load({loop, environment_, paths_,
                                         [this](const std::string&, const Containers::Start&,
                                                std::function<void(Started)> done) {
                                           starting.push_back(std::move(done));
                                           return JobPool::Job();
                                         },
                                         job("clean "), job("discard ")},
                                        notice)
                           .value());
  }

  /// Takes over what was found, as a server does at its start.
  void adopt(std::vector<Found> found) {
    auto all = std::make_shared<std::vector<Found>>(std::move(found));
    ASSERT_TRUE(server::adopt(
        {paths_, [all]() -> Result<std::vector<Found>> { return std::move(*all); },
         [this](int shim_pid) { lived.push_back(shim_pid); }, *projects, *sessions, *containers,
         *unmanaged, [this](const std::string& text) { logged.push_back(text); }}));
    drain();
  }

  /// All that follows by itself.
  void drain() {
    loop.io().restart();
    loop.io().poll();
  }
  void start(Started result) {
    ASSERT_FALSE(starting.empty());
    const auto done = std::move(starting.front());
    starting.erase(starting.begin());
    done(std::move(result));
    drain();
  }
  /// The oldest start is over: its process.
  std::shared_ptr<runtime::FakeProcess> start() {
    auto process = std::make_shared<runtime::FakeProcess>();
    start(process->handle());
    return process;
  }
  /// The cleanup in progress is over; what it was.
  std::string clean(Result<void> result = {}) {
    if (cleaning.empty()) return "nothing";
    const Cleaning one = std::move(cleaning.front());
    cleaning.erase(cleaning.begin());
    one.done(std::move(result));
    drain();
    return one.what;
  }

  ReplyPtr reply(const std::shared_ptr<Answer>& answer) {
    return std::make_shared<Reply>(std::make_unique<Sink>(answer));
  }
  Json containers_listed() {
    const auto answer = std::make_shared<Answer>();
    containers->list({}, reply(answer));
    return answer->result["containers"];
  }
  const Paths& paths() const { return paths_; }

 private:
  class Sink final : public ReplySink {
   public:
    explicit Sink(std::shared_ptr<Answer> answer) : answer_(std::move(answer)) {}
    void event(const JsonText&) override {}
    void result(const JsonText& result) override {
      ++answer_->ends;
      answer_->result = Json::parse(result.str()).value();
    }
    void error(const Error& error, const Json::Object&) override {
      ++answer_->ends;
      answer_->error = error.message();
    }
    void on_hangup(std::function<void()> gone) override { answer_->on_hangup = std::move(gone); }
    bool connected() const override { return answer_->ends == 0 && !answer_->hung_up; }

   private:
    std::shared_ptr<Answer> answer_;
  };

  runtime::Instance::Clean job(const std::string& verb) {
    return [this, verb](const std::string& id, const std::string&,
                        std::function<void(Result<void>)> done) {
      cleaning.push_back({verb + id, std::move(done)});
    };
  }

  Paths paths_;
  builder::Environment environment_{{.paths = paths_, .server_binary = ""}};
  net::HostNetwork network_;
  JobPool jobs_{loop, 1};  // none runs
  const runtime::ListenerSearch listeners_;

 public:
  std::optional<Unmanaged> unmanaged{
      std::in_place,
      Unmanaged::Deps{loop, paths_, job("clean "), {}, [this](const std::string& text) {
                        logged.push_back(text);
                      }}};
  std::optional<Projects> projects;
  std::optional<Sessions> sessions;
  std::optional<Containers> containers;
};

class HouseTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/locald-house-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    home = name;
    again();
  }
  void TearDown() override {
    house.reset();
    (void)remove_tree(home);
  }
  /// The server dies, and the next one starts in the same home.
  void again() {
    house.reset();
    house.emplace(home);
  }
  /// The project "shop" is up, with the host process "web".
  void up() {
    ASSERT_TRUE(make_dirs(home + "/shop"));
    ASSERT_TRUE(write_file_atomic(home + "/shop/locald.toml",
                                  "[project]\nname = \"shop\"\n[services.web]\ncommand = \"run\"\n",
                                  0600));
    ipc::UpRequest request;
    request.project = shop();
    const auto answer = std::make_shared<Answer>();
    house->projects->up(request, house->reply(answer));
    house->drain();
    ASSERT_EQ(answer->error, "");
    ASSERT_EQ(web().state.phase, Phase::running);
  }
  ipc::ProjectPlace shop() const {
    ipc::ProjectPlace place;
    place.dir = home + "/shop";
    return place;
  }
  /// One that an earlier server left: `live`, or ended with code 7.
  static std::vector<House::Found> found(const runtime::InstanceMeta& meta, const std::string& id,
                                         std::unique_ptr<runtime::ServiceHandle> live = nullptr) {
    std::vector<House::Found> out(1);
    out[0].id = id;
    out[0].nonce = "nonce";
    out[0].meta = meta.to_text();
    out[0].live = std::move(live);
    out[0].exit.code = 7;
    return out;
  }
  const Supervisor::Unit& web() { return *house->projects->find("shop")->supervisor().find("web"); }

  std::string home;
  std::optional<House> house;
};

}  // namespace locald::server
