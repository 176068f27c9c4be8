#include "builder/jobs.h"

#include <gtest/gtest.h>

#include "base/sys/fs_at.h"
#include "builder/worker_jobs.h"

namespace locald::builder {
namespace {

/// What a worker answers that gets this.
std::string refusal(Json job) {
  const auto handler = find_worker_job(job["op"].as_string());
  if (!handler) return "no such job";
  const auto done = handler(job, [](const Json&) {});
  return done ? "done" : done.error().message();
}

template <class J>
void expect_strict(J job) {
  job.world.images = job.world.layers = job.world.scratch = "/none";
  Json text = encode(job);
  EXPECT_EQ(text["op"].as_string(), J::kOp);
  text.set("no_such", 1);
  EXPECT_EQ(refusal(text), "job " + std::string(J::kOp) + ": unknown field \"no_such\"");
  text = encode(job);
  text.set("map_id", 7);
  EXPECT_EQ(refusal(text),
            "job " + std::string(J::kOp) + ": map_id: must be a string, it is a number");
}

TEST(Jobs, AWorkerRefusesWhatItDoesNotKnow) {
  expect_strict(PullJob{});
  expect_strict(UnpackJob{});
  expect_strict(PushJob{});
  expect_strict(FactsJob{});
  expect_strict(VolumeJob{.lowers = {}, .lower_base = {}, .source = {}, .target = "/none"});
  expect_strict(RemoveTreesJob{});
  expect_strict(RemoveLayersJob{});
  EXPECT_EQ(refusal(Json::object({{"op", "facts"}})), "job facts: lowers: missing");
  EXPECT_EQ(refusal(Json::object({{"op", "factz"}})), "no such job");
}

TEST(Jobs, AreReadAsTheyAreWritten) {
  FactsJob job;
  job.lowers = {"a", "/b"};
  job.lower_base = "/layers";
  job.create = {{"/etc/hosts", true}, {"/data", false}};
  job.room = 4096;
  job.world.file = 7;
  const auto again = decode<FactsJob>(encode(job));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(encode(*again).dump(), encode(job).dump());
  EXPECT_TRUE(again->create[0].is_file);
  EXPECT_EQ(again->world.file, 7);
}

}  // namespace
}  // namespace locald::builder
