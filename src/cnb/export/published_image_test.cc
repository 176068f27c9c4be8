#include "cnb/export/published_image.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "cnb/jobs.h"
#include "cnb/test_folder.h"

namespace locald::cnb {
namespace {

/// A layout at app/layout/name/latest, and one outside of the app's folder.
class ExportedLayout : public ::testing::Test {
 protected:
  ExportedLayout() {
    for (const std::string& at : {kHere, std::string("outside")}) {
      folder_.write(at + "/index.json", "{}");
      folder_.write(at + "/blobs/sha256/aaaa", "a blob");
    }
  }
  Result<Json> check() {
    const CheckLayoutJob job{.app = {.top = folder_ / "app"}, .folder = "layout/name/latest"};
    return check_layout_job(encode(job), {});
  }
  /// `path` becomes a symlink to `target`, both below the test's folder.
  void link(const std::string& path, const std::string& target) {
    (void)remove_tree(folder_ / path);
    std::filesystem::create_symlink(folder_ / target, folder_ / path);
  }
  void expect_refused(const std::string& words) {
    const auto checked = check();
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code(), Errc::corrupt);
    EXPECT_NE(checked.error().message().find(words), std::string::npos)
        << checked.error().message();
    EXPECT_NE(checked.error().hint(), "");
  }

  const std::string kHere = "app/layout/name/latest";
  TestFolder folder_;
};

TEST_F(ExportedLayout, IsReadWhereItIsFoldersAndFilesAlone) { EXPECT_TRUE(check()); }

TEST_F(ExportedLayout, IsRefusedBehindASymlink) {
  const char* kWords = "is not reached by folders alone";
  link(kHere, "outside");
  expect_refused(kWords);
  std::filesystem::create_directories(folder_ / "elsewhere/latest");
  link("app/layout/name", "elsewhere");
  expect_refused(kWords);
  (void)remove_tree(folder_ / "app/layout");
  expect_refused(kWords);
}

TEST_F(ExportedLayout, IsRefusedWithASymlinkInIt) {
  link(kHere + "/blobs/sha256/aaaa", "outside/blobs/sha256/aaaa");
  expect_refused("layout/name/latest/blobs/sha256/aaaa is a symlink");
  link(kHere + "/blobs", "outside/blobs");
  expect_refused("layout/name/latest/blobs is a symlink");
}

TEST_F(ExportedLayout, IsRefusedWithWhatIsNeitherFileNorFolder) {
  ASSERT_EQ(::mkfifo((folder_ / (kHere + "/fifo")).c_str(), 0600), 0);
  expect_refused("layout/name/latest/fifo is neither a file nor a folder");
}

TEST_F(ExportedLayout, IsRefusedWhereItIsNestedWithoutEnd) {
  folder_.write(kHere + "/1/2/3/4/5/6/7/8/9/10/file", "");
  expect_refused("lies too deep");
}

}  // namespace
}  // namespace locald::cnb
