// What a server takes over of each kind, alive and ended, and of what cannot be read.
#include <signal.h>

#include "server/instances/house_fixture.h"

namespace locald::server {
namespace {

using runtime::FakeProcess;
using runtime::InstanceMeta;
using Kind = InstanceMeta::Kind;

class AdoptionTest : public HouseTest {
 protected:
  std::shared_ptr<FakeProcess> process(const std::string& id = "0123456789ab") {
    auto out = std::make_shared<FakeProcess>();
    out->instance = id;
    return out;
  }
  static InstanceMeta web_meta(std::uint64_t life = 1) {
    return {.kind = Kind::service, .project = "shop", .service = "web", .life = life};
  }
  void adopt(const InstanceMeta& meta, const std::shared_ptr<FakeProcess>& live) {
    house->adopt(found(meta, live->instance, live->handle()));
  }
  bool logged(const std::string& part) const {
    return std::any_of(house->logged.begin(), house->logged.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    });
  }
};

TEST_F(AdoptionTest, AServiceThatLivesIsItsProjectsAndIsNotStartedAgain) {
  up();
  again();
  const auto web = process();
  web->start();
  adopt(web_meta(4), web);
  EXPECT_EQ(house->lived, std::vector<int>{99});
  web->start();  // as a handle tells one who listens
  EXPECT_EQ(this->web().state.phase, Phase::running);
  EXPECT_EQ(this->web().life, 4u);
  EXPECT_TRUE(house->launcher.log.empty());
  EXPECT_EQ(house->unmanaged->running(), 0u);
  web->exit(3);
  house->drain();
  EXPECT_EQ(this->web().state.phase, Phase::exited);
}

TEST_F(AdoptionTest, AServiceThatDoesNotAnswerIsKeptAndNothingIsStartedBesideIt) {
  up();
  again();
  const auto web = process();
  web->trouble = "does not answer";
  adopt(web_meta(), web);
  EXPECT_TRUE(logged("does not answer"));
  EXPECT_EQ(this->web().state.phase, Phase::running);
  EXPECT_EQ(this->web().trouble, "does not answer");
  EXPECT_TRUE(house->launcher.log.empty());
  EXPECT_TRUE(web->stops.empty());
  web->set_trouble("");
  EXPECT_EQ(this->web().trouble, "");
}

TEST_F(AdoptionTest, AServiceThatEndedHasItsExitAndIsCleaned) {
  up();
  again();
  house->adopt(found(web_meta(), "0123456789ab"));
  EXPECT_EQ(web().state.phase, Phase::exited);
  ASSERT_TRUE(web().state.exit);
  EXPECT_EQ(web().state.exit->code, 7);
  EXPECT_TRUE(house->projects->find("shop")->supervisor().quiet("web"));
}

TEST_F(AdoptionTest, OfTwoLivesOfAServiceTheNewerIsKeptAndTheOlderKilled) {
  up();
  again();
  const auto older = process("000000000001"), newer = process("000000000002");
  auto both = found(web_meta(1), older->instance, older->handle());
  auto second = found(web_meta(2), newer->instance, newer->handle());
  both.push_back(std::move(second[0]));
  house->adopt(std::move(both));
  EXPECT_EQ(older->stops, std::vector<int>{SIGKILL});
  EXPECT_TRUE(newer->stops.empty());
  EXPECT_EQ(web().instance, newer->instance);
  older->exit(137);
  house->drain();
  EXPECT_EQ(house->clean(), "clean " + older->instance);
}

TEST_F(AdoptionTest, AServiceWhoseProjectsRecordIsDamagedRunsOnNotManaged) {
  up();
  ASSERT_TRUE(write_file_atomic(house->paths().run_project("shop"), "{ damaged", 0600));
  again();
  const auto web = process();
  adopt(web_meta(), web);
  EXPECT_TRUE(logged("set aside"));
  EXPECT_TRUE(house->unmanaged->any("shop"));
  EXPECT_TRUE(web->stops.empty());
  EXPECT_TRUE(web->held);
  house->unmanaged->write_back();
  EXPECT_EQ(web->written_back, 1);

  bool over = false;
  house->unmanaged->end("shop", {}, /*at_once=*/true, [&](const Result<void>&) { over = true; });
  EXPECT_EQ(web->stops, std::vector<int>{SIGKILL});
  web->exit(137);
  house->drain();
  EXPECT_FALSE(over);
  EXPECT_TRUE(house->unmanaged->any("shop")) << "what it leaves is there still";
  house->clean();
  EXPECT_TRUE(over);
  EXPECT_FALSE(house->unmanaged->any("shop"));
}

TEST_F(AdoptionTest, OneThatIsNotManagedAndCannotBeStoppedIsKept) {
  const auto web = process();
  web->refuses_stop = true;
  adopt(web_meta(), web);
  std::string said;
  house->unmanaged->end("shop", {}, /*at_once=*/true,
                        [&](const Result<void>& ended) { said = ended.error().message(); });
  house->drain();
  EXPECT_EQ(said, "cannot be stopped now");
  EXPECT_TRUE(house->unmanaged->any("shop"));
}

TEST_F(AdoptionTest, AServiceThatEndedAndWhoseProjectIsLostIsCleanedAndForgotten) {
  house->adopt(found(web_meta(), "0123456789ab"));
  EXPECT_FALSE(house->unmanaged->any("shop"));
  EXPECT_EQ(house->clean(), "clean 0123456789ab");
}

TEST_F(AdoptionTest, ASessionIsItsProjects) {
  const InstanceMeta meta{.kind = Kind::exec, .project = "shop", .service = "web"};
  const auto live = process();
  adopt(meta, live);
  EXPECT_TRUE(live->stops.empty());
  bool over = false;
  house->sessions->end("shop", [&] { over = true; });
  EXPECT_EQ(live->stops, std::vector<int>{SIGKILL});
  live->exit(137);
  house->drain();
  house->clean();
  EXPECT_TRUE(over);

  house->adopt(found(meta, "000000000001"));
  over = false;
  house->sessions->end("shop", [&] { over = true; });
  EXPECT_FALSE(over) << "one that has ended is cleaned first";
  EXPECT_EQ(house->clean(), "clean 000000000001");
  EXPECT_TRUE(over);
}

TEST_F(AdoptionTest, AContainerIsListedWithWhatItsRecordSays) {
  const InstanceMeta meta{.kind = Kind::container, .name = "box", .image = "x:1"};
  const auto live = process();
  adopt(meta, live);
  EXPECT_EQ(house->containers->state_of("box"), ContainerState::running);
  EXPECT_EQ(house->containers->running(), 1u);

  again();
  house->adopt(found(meta, "0123456789ab"));
  EXPECT_EQ(house->clean(), "clean 0123456789ab");
  EXPECT_EQ(house->containers->state_of("box"), ContainerState::ended);
  EXPECT_EQ(house->containers_listed().as_array()[0]["exit_code"].as_int(), 7);
}

TEST_F(AdoptionTest, AContainerThatEndedAndWasToGoWithItsEndIsDiscarded) {
  house->adopt(
      found({.kind = Kind::container, .name = "box", .image = "x:1", .rm = true}, "0123456789ab"));
  EXPECT_EQ(house->clean(), "discard 0123456789ab");
  EXPECT_EQ(house->containers->state_of("box"), ContainerState::none);
}

TEST_F(AdoptionTest, APhaseOfABuildIsKilled) {
  const auto phase = process();
  adopt({.kind = Kind::build, .app = "api"}, phase);
  EXPECT_EQ(phase->stops, std::vector<int>{SIGKILL});
  phase->exit(137);
  house->drain();
  EXPECT_EQ(house->clean(), "clean 0123456789ab");
}

TEST_F(AdoptionTest, OneThatNothingIsKnownOfIsKilledAndWaitedFor) {
  const auto stray = process();
  adopt({}, stray);
  EXPECT_TRUE(logged("nothing tells whose it is"));
  EXPECT_EQ(stray->stops, std::vector<int>{SIGKILL});
  bool over = false;
  house->sessions->stop_all([&] { over = true; });
  EXPECT_FALSE(over);
  stray->exit(137);
  house->drain();
  house->clean();
  EXPECT_TRUE(over);
}

TEST_F(AdoptionTest, TheWritableLayerThatAContainerLeftIsDiscarded) {
  ASSERT_TRUE(make_dirs(house->paths().container("0123456789ab")));
  ASSERT_TRUE(make_dirs(house->paths().container("000000000001")));
  house->adopt(found({}, "0123456789ab"));
  std::vector<std::string> cleaned{house->clean(), house->clean()};
  std::sort(cleaned.begin(), cleaned.end());
  EXPECT_EQ(cleaned, (std::vector<std::string>{"discard 000000000001", "discard 0123456789ab"}))
      << "also the one of which there is not even an instance";
}

}  // namespace
}  // namespace locald::server
