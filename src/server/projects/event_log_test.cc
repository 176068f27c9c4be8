#include "server/projects/event_log.h"

#include <gtest/gtest.h>

#include <vector>

namespace locald::server {
namespace {

struct Heard {
  std::vector<Json> events;
  bool connected = true;
};

class Sink final : public ReplySink {
 public:
  explicit Sink(Heard& heard) : heard_(heard) {}
  void event(const JsonText& event) override { heard_.events.push_back(*Json::parse(event.str())); }
  void result(const JsonText&) override {}
  void error(const Error&, const Json::Object&) override {}
  void on_hangup(std::function<void()>) override {}
  bool connected() const override { return heard_.connected; }

 private:
  Heard& heard_;
};

ReplyPtr listener(Heard& heard) { return std::make_shared<Reply>(std::make_unique<Sink>(heard)); }

ipc::ChangeEvent state(const std::string& project, const std::string& service,
                       const std::string& what) {
  return {.kind = "state",
          .project = project,
          .service = service,
          .status = ipc::ServiceStatus{.name = service, .state = what}};
}

TEST(EventLog, TellsWhatIsNewInOrderToThoseWhoWantIt) {
  EventLog log;
  Heard all, of_p, of_web;
  log.subscribe(listener(all), "", {}, std::nullopt);
  log.subscribe(listener(of_p), "p", {}, std::nullopt);
  log.subscribe(listener(of_web), "p", {"web"}, std::nullopt);
  log.add({.kind = "up", .project = "p"});
  log.add(state("p", "web", "running"));
  log.add(state("p", "web", "running"));
  log.add(state("p", "db", "running"));
  log.add(state("q", "web", "running"));
  log.add({.kind = "removed", .project = "p", .service = "never"});
  ASSERT_EQ(all.events.size(), 4u) << "a known state is not a change";
  EXPECT_EQ(of_p.events.size(), 3u);
  EXPECT_EQ(of_web.events.size(), 2u);
  for (std::size_t i = 1; i < all.events.size(); ++i)
    EXPECT_EQ(all.events[i]["seq"].as_int(), all.events[i - 1]["seq"].as_int() + 1);
  all.connected = false;
  log.add(state("p", "web", "exited"));
  EXPECT_EQ(all.events.size(), 4u);
  EXPECT_EQ(of_web.events.size(), 3u);
}

TEST(EventLog, WhoComesBackHearsWhatWasMissed) {
  EventLog log;
  const std::uint64_t start = log.last();
  for (std::size_t i = 0; i < EventLog::kKept; ++i)
    log.add({.kind = "notice", .project = "p", .text = std::to_string(i)});
  EXPECT_TRUE(log.knows_after(start));
  EXPECT_FALSE(log.knows_after(start - 1)) << "of a server before";
  EXPECT_FALSE(log.knows_after(log.last() + 1));
  Heard heard;
  log.subscribe(listener(heard), "p", {}, log.last() - 2);
  ASSERT_EQ(heard.events.size(), 2u);
  EXPECT_EQ(heard.events[1]["text"].as_string(), std::to_string(EventLog::kKept - 1));
  log.add({.kind = "notice", .project = "p", .text = "more"});
  EXPECT_FALSE(log.knows_after(start));
  EXPECT_TRUE(log.knows_after(start + 1));
  EXPECT_EQ(heard.events.size(), 3u);
}

TEST(EventLog, NumbersGrowFromOneServerToTheNext) {
  EventLog before;
  before.add({.kind = "up", .project = "p"});
  EventLog after;
  EXPECT_GE(after.last(), before.last() - 1);
}

}  // namespace
}  // namespace locald::server
