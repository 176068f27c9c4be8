#include "runtime/worker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/strings.h"
#include "base/sys/spawn.h"

namespace locald::runtime {
namespace {

using namespace std::chrono_literals;

// The test program is its own worker: run with "worker --job-fd N" it serves one
// job (see main below), so that both ends and the process between them are real.
WorkerHandler handler(const std::string& op) {
  if (op == "add")
    return [](const Json& job, const std::function<void(Json)>& progress) -> Result<Json> {
      progress(Json::object({{"done", 1}}));
      progress(Json::object({{"done", 2}}));
      return Json::object({{"sum", job["a"].as_int() + job["b"].as_int()}, {"pid", ::getpid()}});
    };
  if (op == "fail")
    return [](const Json&, const std::function<void(Json)>&) -> Result<Json> {
      return Error(Errc::no_space, "write x: No space left on device").with_hint("make room");
    };
  if (op == "die")
    return [](const Json&, const std::function<void(Json)>&) -> Result<Json> {
      ::raise(SIGKILL);
      return Json();
    };
  if (op == "sleep")
    return [](const Json&, const std::function<void(Json)>& progress) -> Result<Json> {
      progress(Json::object({{"pid", ::getpid()}}));
      std::this_thread::sleep_for(60s);
      return Json();
    };
  if (op == "echo")
    return [](const Json& job, const std::function<void(Json)>&) -> Result<Json> {
      return job["text"];
    };
  return {};
}

Worker worker() {
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
  return Worker({.server_binary = std::string(self, static_cast<std::size_t>(n)),
                 .user_namespace = [] { return Result<int>(-1); }});
}

Json job(const char* op) { return Json::object({{"op", op}}); }

TEST(Worker, RunsAJobAndTellsItsProgress) {
  std::vector<std::int64_t> seen;
  const Json result = worker()
                          .run(Json::object({{"op", "add"}, {"a", 2}, {"b", 40}}),
                               [&](const Json& p) { seen.push_back(p["done"].as_int()); }, {})
                          .value();
  EXPECT_EQ(result["sum"].as_int(), 42);
  EXPECT_NE(result["pid"].as_int(), ::getpid());
  EXPECT_EQ(seen, (std::vector<std::int64_t>{1, 2}));
}

TEST(Worker, CarriesLargeTexts) {
  const std::string text(3u << 20, '\n');
  EXPECT_EQ(
      worker().run(Json::object({{"op", "echo"}, {"text", text}}), {}, {}).value().as_string(),
      text);
}

TEST(Worker, CarriesNamesThatAreNoUtf8) {
  const std::string name = "caf\xe9 \xff";
  EXPECT_EQ(
      worker().run(Json::object({{"op", "echo"}, {"text", name}}), {}, {}).value().as_string(),
      name);
}

TEST(Worker, BringsAnErrorWithItsCodeAndHint) {
  const auto r = worker().run(job("fail"), {}, {});
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code(), Errc::no_space);
  EXPECT_EQ(r.error().message(), "write x: No space left on device");
  EXPECT_EQ(r.error().hint(), "make room");
}

TEST(Worker, NamesTheSignalThatKilledIt) {
  const auto r = worker().run(job("die"), {}, {});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message().find("killed by KILL"), std::string::npos) << r.error().message();
}

TEST(Worker, RefusesAnUnknownJob) {
  EXPECT_EQ(worker().run(job("dance"), {}, {}).error().code(), Errc::unsupported);
}

TEST(Worker, IsKilledWhenCancelled) {
  std::stop_source stop;
  pid_t pid = 0;
  const auto begin = std::chrono::steady_clock::now();
  const auto r = worker().run(
      job("sleep"),
      [&](const Json& p) {
        pid = static_cast<pid_t>(p["pid"].as_int());
        stop.request_stop();
      },
      stop.get_token());
  EXPECT_EQ(r.error().code(), Errc::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  ASSERT_GT(pid, 0);
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Worker, IsKilledAtItsLimit) {
  EXPECT_EQ(worker().run(job("sleep"), {}, {}, 50ms).error().code(), Errc::timed_out);
}

TEST(Worker, DoesNotStartWhenCancelledBefore) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(worker().run(job("add"), {}, stop.get_token()).error().code(), Errc::cancelled);
}

}  // namespace
}  // namespace locald::runtime

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "worker")
    return locald::runtime::serve_worker_job(static_cast<int>(locald::parse_u64(argv[3]).value()),
                                             locald::runtime::handler);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
