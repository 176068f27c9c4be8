// Containers of `container run` from their start to their end.
#include <signal.h>

#include "server/instances/house_fixture.h"

namespace locald::server {
namespace {

class ContainersTest : public HouseTest {
 protected:
  using Process = std::shared_ptr<runtime::FakeProcess>;

  std::shared_ptr<Answer> run(bool detach = false, bool rm = false) {
    ipc::ContainerRunRequest request;
    request.image = "x:1";
    request.name = "box";
    request.detach = detach;
    request.rm = rm;
    auto answer = std::make_shared<Answer>();
    house->containers->run(request, house->reply(answer));
    return answer;
  }
  std::shared_ptr<Answer> remove(bool force = false) {
    auto answer = std::make_shared<Answer>();
    house->containers->remove({{"box"}, force}, house->reply(answer));
    house->drain();
    return answer;
  }
  ContainerState state() { return house->containers->state_of("box"); }
  void exit(const Process& process, int code = 0) {
    process->exit(code);
    house->drain();
  }
  std::string listed(const std::string& key) {
    const Json all = house->containers_listed();
    return all.as_array().empty() ? "" : all.as_array()[0][key].as_string();
  }
};

TEST_F(ContainersTest, OneThatIsKeptIsListedAfterItsEndAndUnderTheNextServer) {
  const auto answer = run();
  EXPECT_EQ(state(), ContainerState::starting);
  const Process process = house->start();
  EXPECT_EQ(answer->result["socket"].as_string(), "/svc/" + process->instance);
  EXPECT_EQ(state(), ContainerState::running);
  process->start();
  exit(process, 3);
  EXPECT_EQ(state(), ContainerState::ending);
  EXPECT_EQ(house->clean().substr(0, 6), "clean ");
  EXPECT_EQ(state(), ContainerState::ended);
  again();
  EXPECT_EQ(listed("state"), "exited");
  EXPECT_EQ(house->containers_listed().as_array()[0]["exit_code"].as_int(), 3);
}

TEST_F(ContainersTest, ADamagedEntryOfTheListIsSetAsideAndTheOthersStay) {
  run();
  const Process process = house->start();
  process->start();
  exit(process, 3);
  house->clean();
  const std::string file = house->paths().containers_file();
  const std::string good = *read_file(file);
  for (const std::string bad : {R"({"../x":{},)", R"({"0123456789ab":[],)"}) {
    std::string text = good;
    const std::string before = "\"containers\": {";
    text.replace(text.find(before), before.size(), "\"containers\": " + bad);
    ASSERT_TRUE(write_file_atomic(file, text));
    again();
    EXPECT_EQ(house->containers_listed().as_array().size(), 1u) << bad;
    EXPECT_EQ(listed("name"), "box");
    house->containers->settle();
    EXPECT_EQ(read_file(file).value_or(""), good) << "written down again without it";
  }
}

TEST_F(ContainersTest, OneThatGoesWithItsEndIsDiscarded) {
  run(/*detach=*/false, /*rm=*/true);
  const Process process = house->start();
  exit(process);
  EXPECT_EQ(state(), ContainerState::removing);
  EXPECT_EQ(house->clean().substr(0, 8), "discard ");
  EXPECT_EQ(state(), ContainerState::none);
}

TEST_F(ContainersTest, WhatCannotBeRemovedForAMomentIsRemovedLater) {
  run(/*detach=*/false, /*rm=*/true);
  exit(house->start());
  const auto removal = remove();
  EXPECT_EQ(house->clean(Error(Errc::no_space, "no space")).substr(0, 8), "discard ");
  EXPECT_EQ(removal->error, "no space") << "who waits is told";
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (house->cleaning.empty() && std::chrono::steady_clock::now() < limit) {
    house->loop.io().restart();
    house->loop.io().run_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(house->clean().substr(0, 8), "discard ") << "the second attempt";
  EXPECT_EQ(state(), ContainerState::none);

  run(/*detach=*/false, /*rm=*/true);
  exit(house->start());
  house->clean(Error(Errc::corrupt, "damaged"));
  EXPECT_EQ(state(), ContainerState::none) << "that does not pass";
}

TEST_F(ContainersTest, AStartThatFailsIsAnsweredWhenNothingOfItIsLeft) {
  const auto answer = run();
  house->start(Error(Errc::not_found, "no such image"));
  EXPECT_EQ(state(), ContainerState::removing);
  EXPECT_EQ(answer->ends, 0);
  EXPECT_EQ(house->clean().substr(0, 8), "discard ");
  EXPECT_EQ(answer->error, "no such image");
  EXPECT_EQ(listed("id"), "");
}

TEST_F(ContainersTest, OneThatNeverRanIsAnsweredWithItsCodeAndIsNotKept) {
  const auto answer = run(/*detach=*/true);
  const Process process = house->start();
  runtime::ExitStatus status;
  status.code = 127;
  status.never_ran = true;
  status.reason = "no such command";
  process->exit(status);
  house->drain();
  EXPECT_EQ(answer->ends, 0);
  EXPECT_EQ(house->clean().substr(0, 8), "discard ");
  EXPECT_EQ(answer->result["exit_code"].as_int(), 127);
  again();
  EXPECT_EQ(listed("id"), "") << "written down as one that is there";
}

TEST_F(ContainersTest, OneThatIsKilledToBeRemovedIsGoneWhenThatIsAnswered) {
  run();
  const Process process = house->start();
  EXPECT_NE(remove()->error.find("is running"), std::string::npos);
  const auto first = remove(/*force=*/true);
  EXPECT_EQ(process->stops, std::vector<int>{SIGKILL});
  EXPECT_EQ(state(), ContainerState::removing);
  const auto second = remove(/*force=*/true);
  exit(process, 137);
  EXPECT_EQ(first->ends + second->ends, 0);
  EXPECT_EQ(house->clean().substr(0, 8), "discard ");
  EXPECT_EQ(first->ends, 1);
  EXPECT_EQ(second->ends, 1);
  EXPECT_EQ(first->result["removed"].as_array().size(), 1u);
}

TEST_F(ContainersTest, ARemovalDuringTheCleanupComesAfterIt) {
  run();
  exit(house->start());
  const auto removal = remove();
  EXPECT_EQ(removal->ends, 0);
  EXPECT_EQ(house->clean().substr(0, 6), "clean ");
  EXPECT_EQ(removal->ends, 0);
  EXPECT_EQ(house->clean().substr(0, 8), "discard ");
  EXPECT_EQ(removal->error, "");
  EXPECT_EQ(removal->ends, 1);
  EXPECT_EQ(state(), ContainerState::none);
}

TEST_F(ContainersTest, ARemovalThatFailsSaysSo) {
  run();
  exit(house->start());
  house->clean();
  const auto removal = remove();
  house->clean(Error(Errc::failed, "busy"));
  EXPECT_EQ(removal->error, "busy");
}

TEST_F(ContainersTest, OneThatIsBeingStartedIsRemovedAsSoonAsItIsThere) {
  const auto answer = run();
  const auto removal = remove(/*force=*/true);
  EXPECT_EQ(state(), ContainerState::removing);
  const Process process = house->start();
  EXPECT_EQ(process->stops, std::vector<int>{SIGKILL});
  EXPECT_EQ(answer->error, "container box was removed");
  exit(process, 137);
  house->clean();
  EXPECT_EQ(removal->error, "");
  EXPECT_EQ(removal->ends, 1);
}

TEST_F(ContainersTest, ANameThatIsBeingRemovedIsFreeAfterThat) {
  run(/*detach=*/false, /*rm=*/true);
  exit(house->start());
  const auto next = run();
  EXPECT_EQ(next->ends, 0);
  EXPECT_TRUE(house->starting.empty());
  house->clean();
  house->start();
  EXPECT_EQ(next->error, "");
  EXPECT_EQ(next->ends, 1);
}

TEST_F(ContainersTest, OneWhoseClientHasHungUpIsKilledAndNotKept) {
  const auto answer = run();
  answer->hang_up();
  const Process process = house->start();
  EXPECT_EQ(process->stops, std::vector<int>{SIGKILL});
  exit(process, 137);
  EXPECT_EQ(house->clean().substr(0, 8), "discard ");
}

TEST_F(ContainersTest, OneThatCannotBeKilledIsNotRemoved) {
  run();
  const Process process = house->start();
  process->set_trouble("does not answer");
  process->refuses_stop = true;
  EXPECT_EQ(remove(/*force=*/true)->error, "cannot be stopped now");
  EXPECT_EQ(state(), ContainerState::running);
  EXPECT_TRUE(process->held);
}

TEST_F(ContainersTest, TheServersEndStopsNoneAndTheNextTakesItOver) {
  run();
  const Process process = house->start();
  process->start();
  const runtime::ServiceHandle::Events late = process->events;
  const std::string id = house->containers_listed().as_array()[0]["id"].as_string();
  again();
  EXPECT_TRUE(process->stops.empty());
  late.exited({});  // refused: whose it was is gone
  house->adopt(HouseTest::found(
      {.kind = runtime::InstanceMeta::Kind::container, .name = "box", .image = "x:1"}, id,
      process->handle()));
  EXPECT_EQ(state(), ContainerState::running);
  exit(process);
  house->clean();
  EXPECT_EQ(state(), ContainerState::ended);
}

TEST_F(ContainersTest, TheServersStopEndsAllAndWaitsForWhatTheyLeave) {
  run();
  const Process process = house->start();
  bool over = false;
  house->containers->stop_all([&] { over = true; });
  EXPECT_EQ(process->stops, std::vector<int>{0});
  exit(process);
  EXPECT_FALSE(over);
  house->clean();
  EXPECT_TRUE(over);
}

TEST_F(ContainersTest, TheServersStopCallsOffAStart) {
  const auto answer = run();
  bool over = false;
  house->containers->stop_all([&] { over = true; });
  house->start(Error(Errc::cancelled, "cancelled"));
  EXPECT_FALSE(over);
  house->clean();
  EXPECT_TRUE(over);
  EXPECT_EQ(answer->error, "the server is stopping");
}

}  // namespace
}  // namespace locald::server
