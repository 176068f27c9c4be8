#include "builder/storage.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <optional>
#include <string>

#include "base/sys/fs_at.h"

namespace locald::builder {
namespace {

class Storage : public testing::Test {
 protected:
  Storage() {
    EXPECT_TRUE(environment_.paths().create());
    EXPECT_TRUE(make_dirs(environment_.paths().container("p.s.1") + "/upper/etc"));
  }
  ~Storage() override { (void)remove_tree(home_); }

  std::string home_ = [] {
    std::string name = "/tmp/locald-storage-XXXXXX";
    return std::string(::mkdtemp(name.data()));
  }();
  int killed_ = 0;  // so many workers are killed before they do anything
  int workers_ = 0;
  Error death_{Errc::unavailable, "the worker was killed by KILL"};
  Environment environment_{
      {.paths = Paths::from_env(
                    [this](const std::string& name) {
                      return name == "LOCALD_HOME" ? std::optional(home_) : std::nullopt;
                    },
                    1000)
                    .value(),
       .server_binary = "",
       .run_job = [this](const Json& job, const auto&, const auto&, auto) -> Result<Json> {
         if (++workers_ <= killed_) return death_;
         for (const Json& path : job["paths"].as_array()) TRY(remove_tree(path.as_string()));
         return Json::object();
       }}};
};

TEST_F(Storage, AWorkerThatIsKilledLeavesNothingOfWhatItWasToRemove) {
  killed_ = 4;
  const auto removed = remove_container(environment_, "p.s.1", {});
  EXPECT_TRUE(removed) << removed.error().text();
  EXPECT_TRUE(names_in(environment_.paths().containers()).empty());
  EXPECT_EQ(workers_, 5);
}

TEST_F(Storage, WhatDoesNotPassIsNotTriedAgain) {
  killed_ = 1;
  death_ = Error(Errc::denied, "remove etc: Permission denied");
  EXPECT_FALSE(remove_container(environment_, "p.s.1", {}));
  EXPECT_EQ(workers_, 1);
  // The next removal, of anything, does it.
  EXPECT_TRUE(sweep_discarded(environment_, {}));
  EXPECT_TRUE(names_in(environment_.paths().containers()).empty());
}

TEST_F(Storage, ARemovalThatIsCalledOffIsNotTriedAgain) {
  killed_ = 10;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(sweep_discarded(environment_, stop.get_token()) &&
               remove_container(environment_, "p.s.1", stop.get_token()));
  EXPECT_LE(workers_, 1);
}

}  // namespace
}  // namespace locald::builder
