#include "runtime/container_bundle.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/sys/fs_at.h"

namespace locald::runtime {
namespace {

class Bundle : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/locald-bundle-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    home_ = name;
  }
  void TearDown() override { (void)remove_tree(home_); }
  std::string home_;
};

TEST_F(Bundle, HoldsTheConfigAndAMountPointForItsOwnerAlone) {
  oci::RuntimeSpec config;
  config.hostname = "web";
  const auto bundle = ContainerBundle::create(home_ + "/bundles/a", {}, config).value();
  EXPECT_EQ(oci::RuntimeSpec::parse(read_file(bundle.dir + "/config.json").value()).value(),
            config);
  struct stat st {};
  ASSERT_EQ(::stat(bundle.path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat((bundle.dir + "/config.json").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat((bundle.dir + "/rootfs").c_str(), &st), 0);
  EXPECT_TRUE(S_ISDIR(st.st_mode));
}

TEST_F(Bundle, RefusesAnExistingFolderAndLeavesItAlone) {
  ASSERT_EQ(::mkdir((home_ + "/there").c_str(), 0700), 0);
  EXPECT_EQ(ContainerBundle::create(home_ + "/there", {}, {}).error().code(), Errc::already_exists);
  EXPECT_TRUE(exists(home_ + "/there"));
  EXPECT_FALSE(exists(home_ + "/there/config.json"));
}

TEST_F(Bundle, RefusesARelativePath) {
  EXPECT_EQ(ContainerBundle::create("bundle", {}, {}).error().code(), Errc::invalid_input);
}

}  // namespace
}  // namespace locald::runtime
