#include "runtime/runtime_program.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/paths.h"
#include "base/sys/fs_at.h"

namespace locald::runtime {
namespace {

class RuntimeProgram : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/locald-program-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { (void)remove_tree(folder_); }
  std::string program(const std::string& path) {
    const std::string whole = folder_ + "/" + path;
    EXPECT_TRUE(make_dirs(whole.substr(0, whole.rfind('/'))));
    EXPECT_TRUE(write_file_atomic(whole, "#!/bin/sh\n"));
    EXPECT_EQ(::chmod(whole.c_str(), 0755), 0);
    return whole;
  }
  std::string folder_;
};

TEST_F(RuntimeProgram, ThePackagedRuncComesBeforeTheDistributions) {
  if (find_own_program("runc")) GTEST_SKIP() << "needs a build without a runc beside its programs";
  const std::string theirs = program("bin/runc");
  const std::string packaged = program("locald/runc");
  const std::string search = "/nonexistent:" + folder_ + "/bin";
  EXPECT_EQ(find_runtime("runc", search, packaged), packaged);
  EXPECT_EQ(find_runtime("runc", search, folder_ + "/nothing"), theirs);
  EXPECT_EQ(find_runtime("runc", "/nonexistent", ""), "");
}

TEST_F(RuntimeProgram, APathAndAnotherNameAreTakenAtTheirWord) {
  const std::string packaged = program("locald/runc");
  const std::string crun = program("bin/crun");
  EXPECT_EQ(find_runtime("/usr/sbin/runc", folder_ + "/bin", packaged), "/usr/sbin/runc");
  EXPECT_EQ(find_runtime("crun", folder_ + "/bin", packaged), crun);
}

}  // namespace
}  // namespace locald::runtime
