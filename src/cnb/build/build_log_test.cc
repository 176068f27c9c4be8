#include "cnb/build/build_log.h"

#include <gtest/gtest.h>

namespace locald::cnb {
namespace {

void feed(BuildLog& log, const std::vector<std::string>& lines) {
  for (const std::string& text : lines) log.line(0, text);
}

TEST(BuildLog, MakesATableOfDetection) {
  BuildLog log;
  log.begin(Phase::detect);
  feed(log, {"Timer: Detector started at 2026-11-25T21:08:35Z",
             "======== Output: t/node@1.0.0 ========", "no package.json", "really none",
             "======== Error: t/bad@2 ========", "fork/exec: exec format error",
             "======== Results ========", "fail: t/node@1.0.0", "skip: t/proc@1.0.0",
             "err:  t/bad@2 (7)", "======== Results ========", "pass: t/proc@1.0.0",
             "Resolving plan... (try #1)", "fail: t/proc@1.0.0 requires python",
             "ERROR: No buildpack groups passed detection."});
  const auto& rows = log.detected();
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].result, "fail");
  EXPECT_EQ(rows[0].output, "no package.json\nreally none");
  EXPECT_EQ(rows[1].result, "skip");
  EXPECT_EQ(rows[2].result, "err");
  EXPECT_EQ(rows[2].note, "exit code (7)");
  EXPECT_EQ(rows[3].group, 2);
  EXPECT_EQ(rows[3].result, "fail") << "its plan could not be resolved";
  EXPECT_EQ(rows[3].note, "requires python");
  EXPECT_NE(log.detect_table().find("1      t/node@1.0.0  fail    no package.json; really none"),
            std::string::npos)
      << log.detect_table();
}

TEST(BuildLog, TimesEachBuildpackAndTellsWhichRuns) {
  std::vector<std::string> begun;
  BuildLog log([&](const std::string& buildpack) { begun.push_back(buildpack); });
  log.begin(Phase::build);
  log.line(1'000'000'000, "Running build for buildpack a@1");
  log.line(1'200'000'000, "hello");
  log.line(1'250'000'000, "Finished running build for buildpack a@1");
  log.line(1'300'000'000, "Running build for buildpack b@2");
  log.line(1'700'000'000, "ERROR: failed to build: exit status 3");
  EXPECT_EQ(begun, (std::vector<std::string>{"a@1", "b@2"}));
  ASSERT_EQ(log.buildpacks().size(), 2u);
  EXPECT_EQ(log.buildpacks()[0], (std::pair<std::string, std::int64_t>("a@1", 250)));
  EXPECT_EQ(log.buildpacks()[1].second, 400) << "one that failed has a time too";
}

TEST(BuildLog, KeepsTheLastWordsOfTheBuildpackWithoutChatter) {
  BuildLog log;
  log.begin(Phase::build);
  feed(log, {"Running build for buildpack a@1", "of a", "Running build for buildpack b@2",
             "Creating plan directory", "Running build command", "npm ERR! no", "",
             "ERROR: failed to build: exit status 3"});
  EXPECT_EQ(log.tail(),
            (std::vector<std::string>{"npm ERR! no", "ERROR: failed to build: exit status 3"}));
  for (int i = 0; i < 100; ++i) log.line(0, "line " + std::to_string(i));
  EXPECT_EQ(log.tail().size(), 20u);
  EXPECT_EQ(log.tail().back(), "line 99");
}

TEST(BuildLog, KeepsTextAloneOfWhatATerminalWouldDo) {
  BuildLog log;
  log.begin(Phase::build);
  feed(log, {"Running build for buildpack a@1", "\x1b[31;1mERROR: \x1b[0mit failed",
             "10 %\r 50 %\r100 % done\r", "\x1b]0;title\x07 of\ta window\x1b]8;;x\x1b\\",
             std::string("nul \0 bell \a", 11), "latin-1 \xe4 and caf\xc3\xa9", "\x1b[2J\x1b[H",
             "end\x1b["});
  EXPECT_EQ(log.tail(), (std::vector<std::string>{"ERROR: it failed", "100 % done", " of\ta window",
                                                  "nul  bell ",
                                                  "latin-1 \xef\xbf\xbd and caf\xc3\xa9", "end"}));
  log.line(0, std::string(499, 'x') + "\xc3\xa9 and more");
  EXPECT_EQ(log.tail().back(), std::string(499, 'x') + "\xef\xbf\xbd…") << "cut between two bytes";
}

TEST(BuildLog, AnErrorInColourEndsABuildpackToo) {
  BuildLog log;
  log.begin(Phase::build);
  feed(log, {"Running build for buildpack a@1", "\x1b[31;1mERROR: \x1b[0mfailed to build"});
  ASSERT_EQ(log.buildpacks().size(), 1u);
  EXPECT_EQ(log.at_work(), "a@1");
}

TEST(BuildLog, ABuildpackIsAtWorkUntilAnotherOneIs) {
  BuildLog log;
  log.begin(Phase::build);
  EXPECT_EQ(log.at_work(), "");
  feed(log, {"Running build for buildpack a@1", "Finished running build for buildpack a@1",
             "Running build for buildpack b@2", "b says"});
  EXPECT_EQ(log.at_work(), "b@2");
  log.begin(Phase::export_);
  EXPECT_EQ(log.at_work(), "");
}

TEST(BuildLog, LeavesOutTheExportersChatterButNotABuildpacks) {
  BuildLog log;
  log.begin(Phase::build);
  feed(log, {"Running build for buildpack a@1", "Adding a file"});
  EXPECT_EQ(log.tail().size(), 1u);
  log.begin(Phase::export_);
  feed(log, {"Adding layer 'x'", "Reusing tarball for layer \"y\"", "ERROR: failed to export: no"});
  EXPECT_EQ(log.tail(), (std::vector<std::string>{"ERROR: failed to export: no"}));
}

TEST(BuildLog, WhatABuildpackPrintsDoesNotFillTheMemory) {
  int told = 0;
  BuildLog log([&](const std::string&) { ++told; });
  log.begin(Phase::detect);
  for (int i = 0; i < 3000; ++i)
    feed(log, {"======== Output: x@" + std::to_string(i) + " ========", "said",
               "======== Results ========", "pass: x@" + std::to_string(i)});
  EXPECT_EQ(log.detected().size(), 1000u);
  log.begin(Phase::build);
  for (int i = 0; i < 3000; ++i)
    feed(log, {"Running build for buildpack x@1", "Finished running build for buildpack x@1"});
  EXPECT_EQ(log.buildpacks().size(), 1000u);
  EXPECT_EQ(told, 1000);
}

TEST(BuildLog, PassesOverWhatItDoesNotKnow) {
  BuildLog log;
  log.begin(Phase::detect);
  feed(log, {"", "=", "======== ", "======== Output:  ========", "fail:", "fail: x",
             "pass: ", "======== Results ========", "fail: no viable buildpacks in group", ": ",
             std::string(100000, 'x')});
  EXPECT_TRUE(log.detected().empty());
  EXPECT_EQ(log.detect_table(), "");
}

}  // namespace
}  // namespace locald::cnb
