// Every request of ipc/messages: it has exactly one end, also when what it is about goes in the
// middle.
#include "server/api/api.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <set>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "ipc/messages/requests.h"
#include "server/supervise/fake_launcher.h"

namespace locald::server {
namespace {

struct ApiAnswer {
  int ends = 0;
  std::string error;
};

class AnswerSink final : public ReplySink {
 public:
  explicit AnswerSink(std::shared_ptr<ApiAnswer> answer) : answer_(std::move(answer)) {}
  void event(const JsonText&) override {}
  void result(const JsonText&) override { ++answer_->ends; }
  void error(const Error& error, const Json::Object&) override {
    ++answer_->ends;
    answer_->error = error.message();
  }
  void on_hangup(std::function<void()>) override {}
  bool connected() const override { return true; }

 private:
  std::shared_ptr<ApiAnswer> answer_;
};

/// A server whose processes are words and whose jobs come back when they are told to.
class Scene {
 public:
  /// @param without  A request that the scene itself does not begin with.
  explicit Scene(const std::string& without = "") {
    char name[] = "/tmp/locald-api-XXXXXX";
    home_ = ::mkdtemp(name);
    paths_.emplace(Paths::from_env(
                       [this](const std::string& n) {
                         return n == "LOCALD_HOME" ? std::optional(home_) : std::nullopt;
                       },
                       1000)
                       .value());
    EXPECT_TRUE(paths_->create());
    runtime_.emplace(runtime::ProcessRuntime::Options{*paths_, "", "", [] { return Result(-1); }});
    environment_.emplace(builder::Environment::Options{
        .paths = *paths_,
        .server_binary = "",
        .run_job = [](const auto&, const auto&, const auto&, auto) -> Result<Json> {
          return Error(Errc::failed, "no worker here");
        }});
    launcher_.obedient = false;
    real_launcher_.emplace(RuntimeLauncher::Deps{loop_, *runtime_, *environment_, *paths_,
                                                 user_namespace_, listeners_, network_});
    std::string notice;
    builds_.emplace(Builds::Deps{loop_, *environment_});
    projects_.emplace(
        Projects::Deps{loop_, launcher_, *paths_, *jobs_, network_, listeners_,
                       environment_->shared(),
                       [](const RunningApp&, const auto&, const auto&) { return JobPool::Job(); },
                       [this](const std::string&, bool, auto done) { later(std::move(done)); },
                       [this](const std::string& project, auto done) {
                         sessions_->end(project, std::move(done));
                       }},
        ProjectRegistry::load(paths_->projects_file(), notice).value());
    const auto clean = [this](const std::string&, const std::string&, auto done) {
      later(std::move(done));
    };
    const auto no_start = [this](auto done) {
      held_.push_back([done = std::move(done)] { done(Error(Errc::failed, "no process")); });
    };
    sessions_.emplace(Sessions::Deps{
        loop_, *environment_, *projects_,
        [no_start](const std::string&, const auto&, auto done) { no_start(std::move(done)); },
        clean, &launcher_, nullptr,
        [this](const std::string&, const project::ServiceConfig&, auto done) {
          loop_.post([done = std::move(done)] { done({}); });
        }});
    containers_.emplace(Containers::load({loop_, *environment_, *paths_,
                                          [no_start](const std::string&, const auto&, auto done) {
                                            no_start(std::move(done));
                                            return JobPool::Job();
                                          },
                                          clean, clean},
                                         notice)
                            .value());
    images_.emplace(Images::Deps{loop_, *environment_, *jobs_});
    store_.emplace(StoreCare::Deps{*environment_, *jobs_, *projects_});
    copies_.emplace(Copies::Deps{*environment_, *jobs_, *projects_});
    api_.emplace(Api::Deps{loop_, *paths_, *jobs_, *projects_, *sessions_, *containers_, *images_,
                           *store_, *copies_, *builds_, *real_launcher_, user_namespace_, "runc",
                           [] {}});
    EXPECT_TRUE(make_dirs(home_ + "/shop"));
    EXPECT_TRUE(write_file_atomic(home_ + "/shop/locald.toml",
                                  "[project]\nname = \"shop\"\n[services.web]\ncommand = \"x\"\n"
                                  "[services.db]\ncommand = \"x\"\n",
                                  0600));
    body_ = Json::object({{"project", Json::object({{"dir", home_ + "/shop"}})},
                          {"services", Json::array()},
                          {"service", "web"},
                          {"argv", std::vector<std::string>{"x"}},
                          {"env", Json::object()},
                          {"umask", 18},
                          {"rlimits", Json::object()},
                          {"image", "oci:" + home_ + "/none:1"},
                          {"target", "oci:" + home_ + "/other:1"},
                          {"images", std::vector<std::string>{"none"}},
                          {"apps", std::vector<std::string>{"none"}},
                          {"dir", home_ + "/tree"},
                          {"path", home_ + "/shop"},
                          {"ids", std::vector<std::string>{"c"}},
                          {"name", "c"},
                          {"force", true},
                          {"all", true},
                          {"unused_ms", 1'000'000'000},
                          {"wait", true}});
    (void)ask("up");
    run_for(loop_);
    launcher_.run("web");  // db goes on starting
    if (without != "container/run") (void)ask("container/run");
    run_for(loop_);
  }
  ~Scene() {
    jobs_.reset();  // its jobs use the others
    (void)remove_tree(home_);
  }

  std::shared_ptr<ApiAnswer> ask(const std::string& name) {
    Json body = Json::object();
    for (const ipc::RequestInfo& request : ipc::requests())
      if (request.name == name)
        for (const Field& field : request.fields().all())
          if (body_.contains(field.name)) body.set(field.name, body_[field.name]);
    return ask_with(name, std::move(body), Reading::strict);
  }
  std::shared_ptr<ApiAnswer> ask_with(const std::string& name, Json body, Reading reading) {
    auto answer = std::make_shared<ApiAnswer>();
    api_->handle(Request{name, std::move(body), reading},
                 std::make_shared<Reply>(std::make_unique<AnswerSink>(answer)));
    return answer;
  }
  std::vector<std::string> requests() const { return api_->requests(); }

  /// The project is brought down, the container removed, the jobs come back.
  void let_go() {
    (void)ask("down");
    (void)ask("container/rm");
    for (int turn = 0; turn < 5; ++turn) {
      for (const auto& process : launcher_.processes)
        if (process->listening && !process->ended) {
          process->ended = true;
          process->events.exited({});
        }
      for (const auto& work : std::exchange(held_, {})) work();
      run_for(loop_, project::Milliseconds(5));
    }
  }
  /// Those that work on images and caches fail by themselves.
  void wait_for(const ApiAnswer& answer) {
    run_until(loop_, [&] { return answer.ends != 0; });
  }

 private:
  void later(std::function<void(Result<void>)> done) {
    held_.push_back([done = std::move(done)] { done({}); });
  }

  std::string home_;
  EventLoop loop_;
  std::optional<Paths> paths_;
  std::optional<JobPool> jobs_{std::in_place, loop_, 2};
  const runtime::ListenerSearch listeners_;
  net::HostNetwork network_;
  std::vector<std::function<void()>> held_;
  FakeLauncher launcher_{loop_};
  runtime::UserNamespace user_namespace_{""};
  std::optional<runtime::ProcessRuntime> runtime_;
  std::optional<builder::Environment> environment_;
  std::optional<RuntimeLauncher> real_launcher_;
  std::optional<Builds> builds_;
  std::optional<Projects> projects_;
  std::optional<Sessions> sessions_;
  std::optional<Containers> containers_;
  std::optional<Images> images_;
  std::optional<StoreCare> store_;
  std::optional<Copies> copies_;
  std::optional<Api> api_;
  Json body_;
};

TEST(Api, EveryRequestEndsExactlyOnceAlsoWhenWhatItIsAboutGoes) {
  for (const std::string& name : Scene().requests()) {
    SCOPED_TRACE(name);
    std::shared_ptr<ApiAnswer> answer;
    {
      Scene scene(name);
      answer = scene.ask(name);
      scene.let_go();
      if (name != ipc::EventsRequest::kName) {  // which tells until the server ends
        scene.wait_for(*answer);
        EXPECT_EQ(answer->ends, 1);
      }
    }
    EXPECT_EQ(answer->ends, 1) << "at the end of the server";
    EXPECT_EQ(answer->error.find("was dropped"), std::string::npos) << answer->error;
  }
}

TEST(Api, ARequestThatCannotBeReadIsAnErrorWithThePlace) {
  Scene scene;
  const auto ask = [&](const std::string& name, const char* body, Reading reading) {
    return scene.ask_with(name, *Json::parse(body), reading)->error;
  };
  EXPECT_EQ(ask("down", R"({"project": {"dir": "/"}, "volumes": "yes"})", Reading::strict),
            "request down: volumes: must be true or false, it is a string");
  EXPECT_EQ(ask("status", R"({"al": true})", Reading::strict),
            "request status: unknown field \"al\"");
  EXPECT_EQ(ask("status", R"({"all": true, "later": 1})", Reading::tolerant), "");
  EXPECT_EQ(ask("status", "{}", Reading::strict), "request status: project: missing");
  EXPECT_EQ(ask("version", R"({"later": 1})", Reading::strict), "");
}

TEST(Api, AnswersWhatItsContractNamesAndNothingElse) {
  std::set<std::string> named;
  for (const ipc::RequestInfo& request : ipc::requests()) named.emplace(request.name);
  const auto known = Scene().requests();
  EXPECT_EQ(named, std::set<std::string>(known.begin(), known.end()));
  for (const ServerRule& rule : kServerRules)
    EXPECT_TRUE(named.contains(std::string(rule.request)));
  for (const ProjectRule& rule : kProjectRules)
    EXPECT_TRUE(named.contains(std::string(rule.request)));
}

}  // namespace
}  // namespace locald::server
