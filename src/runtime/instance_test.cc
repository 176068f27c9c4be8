// What an owner hears of its instance, and when nothing more.
#include "runtime/instance.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <optional>

#include "runtime/fake_process.h"

namespace locald::runtime {
namespace {

class InstanceTest : public testing::Test {
 protected:
  EventLoop loop;
  std::shared_ptr<FakeProcess> process = std::make_shared<FakeProcess>();
  std::vector<std::string> heard;
  std::function<void(Result<void>)> cleaned;  ///< what the job of the cleanup answers
  std::optional<Instance> instance = make();

  Instance make() {
    return {loop,
            "0123456789ab",
            "nonce",
            [this](const std::string& id, const std::string& nonce, auto done) {
              heard.push_back("clean " + id + " " + nonce);
              cleaned = std::move(done);
            },
            {.started = [this](int pid) { heard.push_back("started " + std::to_string(pid)); },
             .ended =
                 [this](const ExitStatus& status) {
                   heard.push_back("ended " + std::to_string(status.code.value_or(-1)));
                 },
             .gone =
                 [this](const Result<void>& result) {
                   heard.push_back(result ? "gone" : "gone: " + result.error().message());
                 },
             .trouble = [this] { heard.push_back("trouble " + process->trouble); }}};
  }
  void drain() {
    loop.io().restart();
    loop.io().poll();
  }
  using Heard = std::vector<std::string>;
};

TEST_F(InstanceTest, IsStartedEndedCleanedAndGoneInThisOrder) {
  EXPECT_EQ(instance->state(), Instance::State::starting);
  EXPECT_EQ(instance->handle(), nullptr);
  instance->own(process->handle());
  EXPECT_EQ(instance->state(), Instance::State::running);
  process->start();
  process->exit(3);
  EXPECT_EQ(heard, Heard{"started 100"}) << "its end comes later than its own callback";
  EXPECT_TRUE(process->held);
  drain();
  EXPECT_EQ(heard, (Heard{"started 100", "ended 3", "clean 0123456789ab nonce"}));
  EXPECT_FALSE(process->held);
  EXPECT_EQ(instance->state(), Instance::State::ending);
  EXPECT_EQ(instance->stop(SIGTERM, {}).error().code(), Errc::not_found);
  cleaned({});
  EXPECT_EQ(heard.back(), "gone");
  EXPECT_EQ(instance->state(), Instance::State::gone);
}

TEST_F(InstanceTest, TheEndIsToldBeforeWhatItLeavesIsRemoved) {
  std::vector<std::string> order;
  Instance one(loop, "i", "n",
               [&](const std::string&, const std::string&, auto) { order.emplace_back("clean"); },
               {.ended = [&](const ExitStatus&) {
                 loop.post([&] { order.emplace_back("written down"); });
               }});
  one.own(process->handle());
  process->exit(0);
  drain();
  EXPECT_EQ(order, (std::vector<std::string>{"written down", "clean"}));
}

TEST_F(InstanceTest, IsStoppedAsSoonAsItIsThereWhereThatWasAskedBefore) {
  EXPECT_FALSE(instance->unwanted());
  EXPECT_TRUE(instance->stop(SIGKILL, std::chrono::milliseconds(0)));
  EXPECT_TRUE(instance->stop(SIGTERM, std::chrono::seconds(10)));
  EXPECT_TRUE(instance->unwanted());
  instance->own(process->handle());
  EXPECT_EQ(process->stops, std::vector<int>{SIGKILL}) << "what was asked for later is gentler";
  process->exit(137);
  drain();
  EXPECT_EQ(heard, (Heard{"ended 137", "clean 0123456789ab nonce"}));
}

TEST_F(InstanceTest, TellsThatTheCleanupIsIncomplete) {
  instance->clean();
  drain();
  cleaned(Error(Errc::failed, "busy"));
  EXPECT_EQ(heard, (Heard{"clean 0123456789ab nonce", "gone: busy"}));
}

TEST_F(InstanceTest, OneThatEndedWithoutAServerIsToldAtOnceAndCleaned) {
  ExitStatus status;
  status.code = 7;
  instance->end(status);
  EXPECT_EQ(heard, Heard{"ended 7"});
  drain();
  cleaned({});
  EXPECT_EQ(heard.back(), "gone");
}

TEST_F(InstanceTest, TroubleIsToldAndIsNoEnd) {
  instance->own(process->handle());
  process->set_trouble("does not answer");
  process->set_trouble("");
  drain();
  EXPECT_EQ(heard, (Heard{"trouble does not answer", "trouble "}));
  EXPECT_EQ(instance->state(), Instance::State::running);
  EXPECT_TRUE(process->stops.empty());
}

TEST_F(InstanceTest, NothingIsHeardOnceItIsDropped) {
  instance->own(process->handle());
  const ServiceHandle::Events late = process->events;
  instance.reset();
  EXPECT_TRUE(process->let_go) << "dropping it stops nothing";
  EXPECT_TRUE(process->stops.empty());
  late.started(1);
  late.trouble();
  late.exited({});
  drain();
  EXPECT_TRUE(heard.empty());
}

TEST_F(InstanceTest, MayBeDroppedAtAnyPointOfItsEnd) {
  instance->own(process->handle());
  process->exit(0);
  instance.reset();
  drain();
  EXPECT_TRUE(heard.empty()) << "between the end and its news";
  for (const bool while_cleaned : {false, true}) {
    heard.clear();
    instance = make();
    instance->end({});
    if (while_cleaned) drain();
    instance.reset();
    drain();
    if (while_cleaned) cleaned({});
    EXPECT_EQ(heard.size(), while_cleaned ? 2u : 1u);
  }
}

TEST_F(InstanceTest, AnEventMayDropIt) {
  for (const std::string at : {"started", "ended", "gone", "trouble"}) {
    SCOPED_TRACE(at);
    auto one = std::make_shared<FakeProcess>();
    std::optional<Instance> dropped;
    const auto drop = [&](const std::string& name) {
      if (name == at) dropped.reset();
    };
    dropped.emplace(
        loop, "i", "n", [](const std::string&, const std::string&, auto done) { done({}); },
        Instance::Events{.started = [&](int) { drop("started"); },
                         .ended = [&](const ExitStatus&) { drop("ended"); },
                         .gone = [&](const Result<void>&) { drop("gone"); },
                         .trouble = [&] { drop("trouble"); }});
    dropped->own(one->handle());
    one->start();
    one->set_trouble("x");
    one->exit(0);
    drain();
    EXPECT_FALSE(dropped.has_value());
    EXPECT_FALSE(one->held);
  }
}

TEST_F(InstanceTest, WritesBackWhereItRuns) {
  EXPECT_TRUE(Instance().write_back());
  EXPECT_TRUE(instance->write_back());
  instance->own(process->handle());
  EXPECT_TRUE(instance->write_back());
  EXPECT_EQ(process->written_back, 1);
}

}  // namespace
}  // namespace locald::runtime
