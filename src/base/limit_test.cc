#include "base/limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace locald {
namespace {

using namespace std::chrono_literals;

TEST(Limit, LetsThatManyInAtOnce) {
  Limit limit(2);
  std::atomic<int> inside = 0, most = 0, waited = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      const auto place = limit.take({}, [&] { ++waited; });
      EXPECT_TRUE(place);
      const int now = ++inside;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(5ms);
      --inside;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, 2);
  EXPECT_LE(waited, 7);
}

TEST(Limit, ServesInOrderOfArrivalAndWhoIsCalledOffMakesWay) {
  Limit limit(1);
  auto held = std::make_unique<Result<Limit::Place>>(limit.take({}));
  std::vector<int> order;
  std::stop_source stops[3];
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    std::promise<void> waits;
    threads.emplace_back([&, i] {
      const auto place = limit.take(stops[i].get_token(), [&] { waits.set_value(); });
      if (place) order.push_back(i);
      EXPECT_EQ(place ? Errc::failed : place.error().code(),
                i == 0 ? Errc::cancelled : Errc::failed);
    });
    waits.get_future().wait();
  }
  stops[0].request_stop();
  threads[0].join();
  EXPECT_TRUE(order.empty());
  held.reset();
  threads[1].join();
  threads[2].join();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

}  // namespace
}  // namespace locald
