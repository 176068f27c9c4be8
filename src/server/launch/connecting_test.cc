#include "server/launch/connecting.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>

namespace locald::server {
namespace {

using Attached = Result<net::Attachment>;

TEST(Connecting, GivesTheNetworkToTheOneWhoWaits) {
  std::latch go(1);
  Connecting connecting(
      [&](const std::stop_token&) -> Attached {
        go.wait();
        return net::Attachment{.kind = net::Attachment::Kind::own, .addresses = {"10.1.0.2"}};
      },
      {});
  EXPECT_FALSE(connecting.stop().stop_requested());
  go.count_down();
  const Attached attached = connecting.wait();
  ASSERT_TRUE(attached);
  EXPECT_EQ(attached->addresses, std::vector<std::string>{"10.1.0.2"});
  EXPECT_FALSE(connecting.failure());
  EXPECT_FALSE(connecting.stop().stop_requested());
}

TEST(Connecting, ANetworkThatCannotBeMadeCallsTheRestOff) {
  Connecting connecting(
      [](const std::stop_token&) -> Attached { return Error(Errc::unavailable, "port in use"); },
      {});
  const std::stop_token rest = connecting.stop();
  while (!rest.stop_requested()) std::this_thread::yield();
  ASSERT_TRUE(connecting.failure());
  EXPECT_EQ(connecting.failure()->message(), "port in use");
}

TEST(Connecting, AStartThatIsCalledOffCallsItOff) {
  std::stop_source start;
  Connecting connecting(
      [](const std::stop_token& stop) -> Attached {
        while (!stop.stop_requested()) std::this_thread::yield();
        return Error(Errc::cancelled, "called off");
      },
      start.get_token());
  start.request_stop();
  EXPECT_TRUE(connecting.stop().stop_requested());
  EXPECT_EQ(connecting.wait().error().code(), Errc::cancelled);
}

TEST(Connecting, ItsEndIsWaitedForWhereTheRestHasFailed) {
  bool ended = false;
  {
    const Connecting connecting(
        [&](const std::stop_token& stop) -> Attached {
          while (!stop.stop_requested()) std::this_thread::yield();
          ended = true;
          return Error(Errc::cancelled, "called off");
        },
        {});
  }
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace locald::server
