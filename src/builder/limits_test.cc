#include "builder/limits.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace locald::builder {
namespace {

TEST(ProcessLimits, AreKnownAndSoftIsNotAboveHard) {
  EXPECT_TRUE(check_ulimit("nofile", 1024, 4096));
  EXPECT_TRUE(check_ulimit("memlock", -1, -1));
  EXPECT_TRUE(check_ulimit("core", 0, -1));
  EXPECT_EQ(check_ulimit("nofiles", 1, 1).error().hint(), "did you mean 'nofile'?");
  EXPECT_FALSE(check_ulimit("nofile", 2, 1));
  EXPECT_FALSE(check_ulimit("nofile", -1, 1));
  EXPECT_FALSE(check_ulimit("nofile", -2, -2));
}

TEST(ProcessLimits, AreLoweredToWhatMayBeGivenAndSaidSo) {
  std::vector<std::string> notices;
  const auto limits = process_limits({{"nofile", {65536, -1}}, {"core", {0, 7}}, {"nproc", {9, 9}}},
                                     {{"nofile", 4096}, {"nproc", 9}}, notices);
  ASSERT_EQ(limits.size(), 3u);
  EXPECT_EQ(limits[0], (oci::spec::Rlimit{"RLIMIT_CORE", 0, 7}));
  EXPECT_EQ(limits[1], (oci::spec::Rlimit{"RLIMIT_NOFILE", 4096, 4096}));
  EXPECT_EQ(limits[2], (oci::spec::Rlimit{"RLIMIT_NPROC", 9, 9}));
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0], "limit nofile is 4096: that is the most that may be given here");
  notices.clear();
  EXPECT_EQ(process_limits({{"memlock", {-1, -1}}}, {}, notices)[0].hard, INT64_MAX);
  EXPECT_TRUE(notices.empty());
}

TEST(ProcessLimits, OfRootAreThoseOfTheKernel) {
  EXPECT_GT(hard_limits(true).at("nofile"), 0);
  // Where limits may be raised, the kernel's bound alone counts; elsewhere, for root too, those of
  // this process do.
  rlimit mine{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &mine), 0);
  const bool may_raise = ::setrlimit(RLIMIT_NOFILE, &mine) == 0 && [&] {
    const rlimit more{mine.rlim_cur, mine.rlim_max + 1};
    const bool raised = ::setrlimit(RLIMIT_NOFILE, &more) == 0;
    if (raised) {
      EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &mine), 0);
    }
    return raised;
  }();
  EXPECT_EQ(hard_limits(true).size() == 1 || hard_limits(true) == hard_limits(false), true);
  EXPECT_EQ(hard_limits(true).size() == 1, may_raise);
}

}  // namespace
}  // namespace locald::builder
