#include "server/api/doctor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/sys/fs_at.h"
#include "server/projects/project_registry.h"
#include "server/state/state_file.h"

namespace locald::server {
namespace {

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/locald-doctor-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { (void)remove_tree(path_); }
  void put(const std::string& file, const std::string& text) {
    ASSERT_TRUE(make_dirs(path_ + file.substr(0, file.rfind('/'))));
    ASSERT_TRUE(write_file_atomic(path_ + file, text));
  }
  const Check& find(const std::vector<Check>& checks, const std::string& name) {
    for (const Check& check : checks)
      if (check.name == name) return check;
    static const Check none;
    return none;
  }
  std::string path_;
};

using Doctor = Folder;
using Registry = Folder;

TEST_F(Doctor, NamesEachMissingPieceWithItsRemedy) {
  put("/sys/proc/sys/user/max_user_namespaces", "0\n");
  DoctorInputs in{.paths = *Paths::from_env(
                      [&](const std::string& n) -> std::optional<std::string> {
                        return n == "LOCALD_HOME" ? std::optional(path_) : std::nullopt;
                      },
                      1000)};
  ASSERT_TRUE(in.paths.create());
  in.search_path = path_ + "/bin";
  in.packaged_runtime.clear();
  in.user_namespace = []() -> Result<DoctorInputs::IdMap> { return Error(Errc::failed, "asked"); };
  in.sysroot = path_ + "/sys";
  const auto checks = run_doctor(in, {});
  EXPECT_EQ(find(checks, "runtime").status, Check::Status::fail);
  EXPECT_EQ(find(checks, "runtime").hint, "sudo apt-get install runc");
  EXPECT_EQ(find(checks, "user-namespaces").status, Check::Status::fail);
  EXPECT_NE(find(checks, "user-namespaces").hint.find("sysctl"), std::string::npos);
  EXPECT_EQ(find(checks, "cgroups").status, Check::Status::warn);
  EXPECT_NE(find(checks, "cgroups").message.find("limits are refused"), std::string::npos);
  EXPECT_FALSE(exists(path_ + "/data/.doctor"));

  put("/sys/proc/sys/user/max_user_namespaces", "1000\n");
  put("/bin/runc", "#!/bin/sh\necho runc version 1.1.5+ds1\n");
  ASSERT_EQ(::chmod((path_ + "/bin/runc").c_str(), 0755), 0);
  const auto again = run_doctor(in, {});
  EXPECT_EQ(find(again, "runtime").status, Check::Status::warn) << find(again, "runtime").message;
  EXPECT_NE(find(again, "runtime").message.find("open: CVE-2024-21626, CVE-2024-45310"),
            std::string::npos);
  EXPECT_NE(find(again, "runtime").hint.find("locald-runc"), std::string::npos);
  EXPECT_EQ(find(again, "user-namespaces").message, "asked");

  put("/sys/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
  EXPECT_NE(find(run_doctor(in, {}), "user-namespaces").hint.find("/etc/apparmor.d/locald"),
            std::string::npos);
}

TEST_F(Doctor, KnowsWhatTheDistributionsRuncHasFixed) {
  if (::access("/usr/bin/dpkg-query", X_OK) != 0) GTEST_SKIP() << "needs dpkg-query";
  DoctorInputs in{.paths = *Paths::from_env(
                      [&](const std::string& n) -> std::optional<std::string> {
                        return n == "LOCALD_HOME" ? std::optional(path_) : std::nullopt;
                      },
                      0)};
  ASSERT_TRUE(in.paths.create());
  in.root = true;
  in.search_path = path_ + "/bin";
  in.packaged_runtime.clear();
  in.sysroot = path_ + "/sys";
  put("/bin/runc", "#!/bin/sh\necho runc version 1.3.5+ds1\n");
  ASSERT_EQ(::chmod((path_ + "/bin/runc").c_str(), 0755), 0);
  put("/sys/var/lib/dpkg/info/runc.list", path_ + "/bin/runc\n");
  put("/sys/var/lib/dpkg/status",
      "Package: runc\nStatus: install ok installed\nMaintainer: a\nArchitecture: amd64\n"
      "Version: 1.3.5+ds1-2\nDescription: b\n\n");
  EXPECT_EQ(find(run_doctor(in, {}), "runtime").status, Check::Status::warn);
  put("/sys/usr/share/doc/runc/changelog.Debian.gz", "  * CVE-2026-41579: closed\n");
  const auto checks = run_doctor(in, {});
  EXPECT_EQ(find(checks, "runtime").status, Check::Status::ok) << find(checks, "runtime").message;
  EXPECT_EQ(find(checks, "runtime").message,
            path_ + "/bin/runc (runc 1.3.5+ds1-2): CVE-2026-41579 is fixed in this package");

  // One that locald prefers where it is installed.
  put("/own/runc", "#!/bin/sh\necho runc version 1.5.3\n");
  ASSERT_EQ(::chmod((path_ + "/own/runc").c_str(), 0755), 0);
  in.packaged_runtime = path_ + "/own/runc";
  EXPECT_EQ(find(run_doctor(in, {}), "runtime").message, path_ + "/own/runc (runc version 1.5.3)");
}

TEST_F(Registry, RefusesANameOfAnotherFolderWithBothWaysOut) {
  std::string notice;
  const std::string file = path_ + "/projects.json";
  put("/a/x", "");
  put("/b/x", "");
  auto registry = *ProjectRegistry::load(file, notice);
  EXPECT_TRUE(registry.claim("shop", path_ + "/a", true));
  EXPECT_TRUE(registry.claim("shop", path_ + "/a", true));
  const auto refused = registry.claim("shop", path_ + "/b", true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::already_exists);
  EXPECT_NE(refused.error().hint().find("-p NAME"), std::string::npos);
  EXPECT_NE(refused.error().hint().find("project forget shop"), std::string::npos);

  auto reread = *ProjectRegistry::load(file, notice);
  EXPECT_EQ(reread.folder("shop"), path_ + "/a");
  EXPECT_EQ(reread.forget("shpo").error().hint(), "did you mean shop?");
  EXPECT_TRUE(reread.forget("shop"));
  EXPECT_TRUE(reread.claim("shop", path_ + "/b", true));
  ASSERT_TRUE(remove_tree(path_ + "/b"));
  EXPECT_TRUE(reread.claim("shop", path_ + "/a", true));
  EXPECT_EQ(notice, "");
}

TEST_F(Registry, ContainersStayOnTheHostsNetworkWhereAnEarlierLocaldPutThem) {
  std::string notice;
  const std::string file = path_ + "/projects.json", dir = path_ + "/a";
  put("/a/x", "");
  put("/projects.json", R"({"format":1,"projects":{"shop":")" + dir + R"("}})");
  auto registry = *ProjectRegistry::load(file, notice);
  EXPECT_TRUE(registry.stays_on_host("shop", dir));
  EXPECT_FALSE(registry.stays_on_host("shop", path_ + "/b")) << "another project of that name";
  EXPECT_FALSE(registry.stays_on_host("other", dir)) << "a new one";
  EXPECT_FALSE(registry.told_of_host("shop"));
  EXPECT_TRUE(registry.note_told("shop"));
  EXPECT_TRUE(registry.claim("shop", dir, /*own_network=*/false));
  EXPECT_TRUE(registry.claim("other", path_ + "/b", /*own_network=*/true));

  auto reread = *ProjectRegistry::load(file, notice);
  EXPECT_TRUE(reread.stays_on_host("shop", dir));
  EXPECT_TRUE(reread.told_of_host("shop"));
  EXPECT_FALSE(reread.stays_on_host("other", path_ + "/b"));
  EXPECT_TRUE(reread.claim("shop", dir, /*own_network=*/true)) << "its file names a network now";
  EXPECT_FALSE(reread.stays_on_host("shop", dir));
  EXPECT_TRUE(reread.claim("shop", dir, /*own_network=*/false));
  EXPECT_FALSE((*ProjectRegistry::load(file, notice)).stays_on_host("shop", dir));
  EXPECT_EQ(notice, "");
}

TEST_F(Registry, SetsAsideWhatItCannotRead) {
  std::string notice;
  put("/projects.json", "{\"format\":1,\"proj");
  auto registry = ProjectRegistry::load(path_ + "/projects.json", notice);
  ASSERT_TRUE(registry);
  EXPECT_NE(notice.find(".corrupt-"), std::string::npos);
  EXPECT_FALSE(exists(path_ + "/projects.json"));

  put("/projects.json", R"({"format":9,"projects":{}})");
  EXPECT_EQ(ProjectRegistry::load(path_ + "/projects.json", notice).error().code(),
            Errc::unsupported);
  EXPECT_TRUE(exists(path_ + "/projects.json"));
}

}  // namespace
}  // namespace locald::server
