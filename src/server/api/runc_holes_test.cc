#include "server/api/runc_holes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/strings.h"
#include "base/sys/fs_at.h"

namespace locald::server {
namespace {

std::string holes(const std::string& version) { return join(runc_holes(version), ", "); }

TEST(RuncHoles, FollowTheBranches) {
  EXPECT_TRUE(holes("1.1.5+ds1").starts_with("CVE-2024-21626, CVE-2024-45310"));
  EXPECT_EQ(holes("1.2.8"), "CVE-2026-41579");
  EXPECT_EQ(holes("1.3.6"), "");
  EXPECT_EQ(holes("1.4.0"), "CVE-2026-41579");
  EXPECT_EQ(holes("1.5.1"), "");
  EXPECT_EQ(holes("1.5.3"), "");
  EXPECT_EQ(holes("2.0.0"), "");
  EXPECT_EQ(holes("unknown"), "");
}

TEST(RuncHoles, AChangelogFixesWhatItNamesUnlessItTakesThatBack) {
  const std::string text =
      "runc (1.1.5+ds1-1+deb12u2) bookworm-security; urgency=high\n\n"
      "  * Revert the fix of CVE-2024-45310, which broke volumes\n"
      "  * CVE-2025-31133 is not fixed yet\n\n"
      "runc (1.1.5+ds1-1+deb12u1) bookworm-security; urgency=high\n\n"
      "  * CVE-2024-21626: several container breakouts\n"
      "  * CVE-2024-45310: files on the host\n";
  EXPECT_TRUE(changelog_fixes(text, "CVE-2024-21626"));
  EXPECT_FALSE(changelog_fixes(text, "CVE-2024-45310"));
  EXPECT_FALSE(changelog_fixes(text, "CVE-2025-31133"));
  EXPECT_FALSE(changelog_fixes(text, "CVE-2026-41579"));
  EXPECT_FALSE(changelog_fixes("", "CVE-2024-21626"));
}

class RuncPackages : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/locald-holes-XXXXXX";
    if (::access("/usr/bin/dpkg-query", X_OK) != 0) GTEST_SKIP() << "needs dpkg-query";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override {
    if (!root_.empty()) (void)remove_tree(root_);
  }
  void put(const std::string& file, const std::string& text) {
    ASSERT_TRUE(make_dirs(root_ + file.substr(0, file.rfind('/'))));
    ASSERT_TRUE(write_file_atomic(root_ + file, text));
  }
  void install(const std::string& version) {
    put("/var/lib/dpkg/info/runc.list", "/.\n/usr\n/usr/sbin\n/usr/sbin/runc\n");
    put("/var/lib/dpkg/status", paragraph("runcible", "9") + paragraph("runc", version));
  }
  static std::string paragraph(const std::string& name, const std::string& version) {
    return "Package: " + name +
           "\nStatus: install ok installed\nMaintainer: a\nArchitecture: amd64\nVersion: " +
           version + "\nDescription: b\n\n";
  }
  std::string fixed(const std::string& program = "/usr/sbin/runc") {
    const auto package =
        runc_package(root_, program, {"CVE-2024-21626", "CVE-2024-45310", "CVE-2026-41579"});
    return package ? package->version + ": " + join(package->fixed, ", ") : "none";
  }
  std::string root_;
};

TEST_F(RuncPackages, ThePackagesOwnChangelogSaysWhatIsFixed) {
  install("1.1.5+ds1-1+deb12u2");
  put("/usr/share/doc/runc/changelog.Debian.gz", "  * CVE-2024-45310: fixed\n");
  EXPECT_EQ(fixed(), "1.1.5+ds1-1+deb12u2: CVE-2024-45310");
}

TEST_F(RuncPackages, WithoutAChangelogItsVersionDoes) {
  install("1.1.5+ds1-1+deb12u1");
  EXPECT_EQ(fixed(), "1.1.5+ds1-1+deb12u1: CVE-2024-21626");
  EXPECT_EQ(fixed("/sbin/runc"), fixed());
  install("1.1.5+ds1-1");
  EXPECT_EQ(fixed(), "1.1.5+ds1-1: ");
}

TEST_F(RuncPackages, AProgramOfNoPackageIsAsItsVersionSays) {
  EXPECT_EQ(fixed(), "none");
  install("1.1.5+ds1-1+deb12u1");
  EXPECT_EQ(fixed("/usr/local/sbin/runc"), "none");
  put("/var/lib/dpkg/status", paragraph("runcible", "9"));
  EXPECT_EQ(fixed(), "none");
}

}  // namespace
}  // namespace locald::server
