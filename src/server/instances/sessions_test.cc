// Sessions of `exec` from their start to their end.
#include <signal.h>

#include "server/instances/house_fixture.h"

namespace locald::server {
namespace {

class SessionsTest : public HouseTest {
 protected:
  void SetUp() override {
    HouseTest::SetUp();
    up();
  }
  std::shared_ptr<Answer> exec() {
    ipc::ExecRequest request;
    request.project = shop();
    request.service = "web";
    request.argv = {"true"};
    auto answer = std::make_shared<Answer>();
    house->sessions->exec(request, house->reply(answer));
    return answer;
  }
  /// Asks for the end of the project's sessions. @return whether it has come
  std::shared_ptr<bool> end() {
    auto over = std::make_shared<bool>(false);
    house->sessions->end("shop", [over] { *over = true; });
    return over;
  }
};

TEST_F(SessionsTest, IsAnsweredWhenItCanBeAttachedToAndCleanedAfterItsEnd) {
  const auto answer = exec();
  EXPECT_EQ(answer->ends, 0);
  const auto process = house->start();
  EXPECT_EQ(answer->result["socket"].as_string(), "/svc/" + process->instance);
  const auto over = end();
  EXPECT_EQ(process->stops, std::vector<int>{SIGKILL});
  process->exit(0);
  house->drain();
  EXPECT_FALSE(*over) << "what it leaves is there still";
  EXPECT_TRUE(house->clean().starts_with("clean "));
  EXPECT_TRUE(*over);
  EXPECT_EQ(answer->ends, 1);
}

TEST_F(SessionsTest, AStartThatFailsIsAnsweredAndLeavesNothing) {
  const auto answer = exec();
  house->start(Error(Errc::failed, "no such command"));
  EXPECT_EQ(answer->error, "no such command");
  EXPECT_TRUE(*end());
  EXPECT_TRUE(house->cleaning.empty());
}

TEST_F(SessionsTest, OneThatIsBeingStartedIsKilledWithItsProject) {
  const auto answer = exec();
  const auto over = end();
  EXPECT_FALSE(*over);
  const auto process = house->start();
  EXPECT_EQ(process->stops, std::vector<int>{SIGKILL});
  EXPECT_NE(answer->error.find("brought down"), std::string::npos) << answer->error;
  EXPECT_FALSE(*over);
  process->exit(137);
  house->drain();
  house->clean();
  EXPECT_TRUE(*over);
  EXPECT_EQ(answer->ends, 1);
}

TEST_F(SessionsTest, AStartThatFailsEndsTheWaitForItsProject) {
  const auto answer = exec();
  const auto over = end();
  house->start(Error(Errc::failed, "no such command"));
  EXPECT_TRUE(*over);
  EXPECT_NE(answer->error.find("brought down"), std::string::npos) << answer->error;
}

TEST_F(SessionsTest, OneWhoseClientHasHungUpIsKilled) {
  const auto answer = exec();
  answer->hang_up();
  EXPECT_EQ(house->start()->stops, std::vector<int>{SIGKILL});
}

TEST_F(SessionsTest, OneThatEndsAtOnceIsCleanedThoughTheCleanupFails) {
  exec();
  const auto process = house->start();
  process->exit(0);
  house->drain();
  house->clean(Error(Errc::failed, "busy"));
  EXPECT_TRUE(*end());
}

TEST_F(SessionsTest, SilenceIsNotDeath) {
  exec();
  const auto process = house->start();
  process->set_trouble("does not answer");
  house->drain();
  EXPECT_TRUE(process->stops.empty());
  EXPECT_FALSE(*end());
}

TEST_F(SessionsTest, TheServersEndStopsNone) {
  exec();
  const auto process = house->start();
  const runtime::ServiceHandle::Events late = process->events;
  again();
  EXPECT_TRUE(process->let_go);
  EXPECT_TRUE(process->stops.empty());
  late.exited({});  // refused: whose it was is gone
}

TEST_F(SessionsTest, TheServersStopWaitsForAll) {
  exec();
  const auto process = house->start();
  bool over = false;
  house->sessions->stop_all([&] { over = true; });
  process->exit(0);
  house->drain();
  EXPECT_FALSE(over);
  house->clean();
  EXPECT_TRUE(over);
}

class RunTest : public SessionsTest {
 protected:
  std::shared_ptr<Answer> run(std::vector<std::string> argv = {"migrate"}) {
    ipc::RunRequest request;
    request.project = shop();
    request.service = "web";
    request.argv = std::move(argv);
    request.env = {{"A", "1"}};
    auto answer = std::make_shared<Answer>();
    house->sessions->run(request, house->reply(answer));
    house->drain();
    return answer;
  }
  FakeLauncher::Process& last() { return *house->launcher.processes.back(); }
};

TEST_F(RunTest, HasAProcessOfItsOwnWithTheServicesConfiguration) {
  const auto answer = run();
  EXPECT_EQ(answer->error, "");
  EXPECT_TRUE(last().service.starts_with("web-run-")) << last().service;
  EXPECT_EQ(last().config->argv, std::vector<std::string>{"migrate"});
  EXPECT_EQ(last().config->env.at("A"), "1");
  EXPECT_FALSE(last().config->health.any());
  EXPECT_EQ(answer->result["nonce"].as_string(), last().nonce);
  EXPECT_EQ(house->launcher.launches("web"), 1) << "the service is not touched";
  const std::string name = last().service;
  EXPECT_FALSE(*end());
  house->drain();
  EXPECT_EQ(house->launcher.log.back(), "clean " + name);
  EXPECT_TRUE(*end()) << "nothing of it is left";
}

TEST_F(RunTest, WithoutACommandItIsTheServices) {
  run({});
  EXPECT_EQ(last().config->argv, web().config->argv);
}

TEST_F(RunTest, AFailedStartIsToldOnceAndLeavesNothing) {
  house->launcher.hold_launches = true;
  const auto answer = run();
  EXPECT_EQ(answer->ends, 0);
  last().done(Error(Errc::failed, "no such image"));
  house->drain();
  EXPECT_EQ(answer->error, "no such image");
  EXPECT_EQ(answer->ends, 1);
  EXPECT_TRUE(*end());
}

TEST_F(RunTest, OneThatIsBeingStartedEndsWithItsProject) {
  house->launcher.hold_launches = true;
  const auto answer = run();
  const auto over = end();
  EXPECT_FALSE(*over);
  last().done(Error(Errc::cancelled, "cancelled"));
  house->drain();
  EXPECT_TRUE(*over);
  EXPECT_EQ(answer->ends, 1);
  EXPECT_NE(answer->error.find("shop"), std::string::npos) << answer->error;
}

}  // namespace
}  // namespace locald::server
