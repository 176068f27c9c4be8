#include "cnb/jobs.h"

#include <gtest/gtest.h>

#include "cnb/buildpacks/buildpack_jobs.h"
#include "cnb/worker_jobs.h"

namespace locald::cnb {
namespace {

/// What a worker answers that gets this.
std::string refusal(const Json& job) {
  const auto done = find_worker_job(job["op"].as_string())(job, [](const Json&) {});
  return done ? "done" : done.error().message();
}

template <class J>
void expect_strict(J job) {
  job.world.images = "/none";
  if constexpr (requires { job.app; }) job.app.top = "/none";
  if constexpr (requires { job.staging; }) job.staging.source = "/none";
  if constexpr (requires { job.store; }) job.store = "/none";
  Json text = encode(job);
  EXPECT_EQ(text["op"].as_string(), J::kOp);
  const auto again = decode<J>(text);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(encode(*again).dump(), text.dump());
  const std::string begin = "job " + std::string(J::kOp) + ": ";
  text.set("no_such", 1);
  EXPECT_EQ(refusal(text), begin + "unknown field \"no_such\"");
  text = encode(job);
  text.set("map_id", 7);
  EXPECT_EQ(refusal(text), begin + "map_id: must be a string, it is a number");
}

TEST(BuildJobs, AWorkerRefusesWhatItDoesNotKnow) {
  expect_strict(BeginJob{});
  expect_strict(FilesJob{});
  expect_strict(RestoreJob{});
  expect_strict(CommitJob{});
  expect_strict(WrittenJob{});
  expect_strict(SpareJob{});
  expect_strict(ExportJob{});
  expect_strict(CheckLayoutJob{});
  expect_strict(LayoutConfigJob{});
  expect_strict(UsageJob{.path = "/none"});
  expect_strict(BuildpackFolderJob{.folder = "/none", .index = "/none"});
  expect_strict(BuildpackArchiveJob{.path = "/none"});
  expect_strict(BuildpackUrlJob{});
  expect_strict(BuildpackScriptJob{});
  expect_strict(BuildpackHideJob{});
  EXPECT_EQ(refusal(Json::object({{"op", "cnb_usage"}})), "job cnb_usage: path: missing");
}

TEST(BuildJobs, PartsStandBesideTheOtherMembers) {
  BeginJob job{.app = {.top = "/app", .uid = 1000, .gid = 1001}, .workspace = "w"};
  job.make.files = {{"a", "text"}};
  job.staging.source = "/src";
  const Json text = encode(job);
  EXPECT_EQ(text["top"].as_string(), "/app");
  EXPECT_EQ(text["gid"].as_int(), 1001);
  EXPECT_EQ(text["files"].as_array()[0]["text"].as_string(), "text");
  EXPECT_EQ(text["source"].as_string(), "/src");
}

}  // namespace
}  // namespace locald::cnb
