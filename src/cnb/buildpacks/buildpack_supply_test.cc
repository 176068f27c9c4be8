#include "cnb/buildpacks/buildpack_supply.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <time.h>

#include <chrono>
#include <cstdlib>

#include "cnb/test_folder.h"
#include "cnb/worker_jobs.h"
#include "oci/archive/test_tar.h"

namespace locald::cnb {
namespace {

using oci::test::TarBuilder;

constexpr const char* kToml = "api = \"0.10\"\n[buildpack]\nid = \"me/tool\"\nversion = \"1.0\"\n";
constexpr const char* kPlace = "/tree/cnb/buildpacks/me_tool/1.0";

/// The jobs run in this process, and are counted.
class Supply : public ::testing::Test {
 protected:
  Supply()
      : paths_(Paths::from_env(
                   [&](const std::string& n) {
                     return n == "LOCALD_HOME" ? std::optional(home_.path()) : std::nullopt;
                   },
                   1000)
                   .value()),
        environment_({.paths = paths_,
                      .server_binary = "",
                      .run_job =
                          [this](const Json& job, const auto& progress, const auto&, auto) {
                            ++jobs_;
                            return find_worker_job(job["op"].as_string())(job, [&](const Json& p) {
                              if (progress) progress(p);
                            });
                          }}),
        store_(paths_),
        supply_(environment_, oci::PullPolicy::missing, context_) {}
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: what is made belongs to root";
    source_.write("bp/buildpack.toml", kToml);
    source_.write("bp/bin/detect", "#!/bin/sh\n", 0644);
    source_.write("bp/bin/build", "#!/bin/sh\n", 0755);
    source_.write("bp/lib/data", "data", 0600);
    source_.write("bp/lib/run", "data", 0711);
    settle();
  }
  /// Until what was written is old enough to be trusted.
  static void settle() {
    const timespec pause{0, 50'000'000};
    ::nanosleep(&pause, nullptr);
  }

  std::string folder() const { return source_ / "bp"; }
  /// The key; "" on an error, which is kept.
  std::string key(Result<BuildpackStore::Entry> made) {
    if (made) return made->key;
    problem_ = made.error().message();
    return "";
  }
  std::vector<std::string> stored() const {
    std::vector<std::string> out;
    for (const auto& e : std::filesystem::directory_iterator(store_.dir()))
      if (e.path().filename() != "sources") out.push_back(e.path().filename());
    return out;
  }
  unsigned mode(const std::string& key, const std::string& path) const {
    struct stat st {};
    EXPECT_EQ(::lstat((store_.dir() + "/" + key + kPlace + "/" + path).c_str(), &st), 0) << path;
    EXPECT_EQ(st.st_uid + st.st_gid, 0u) << path;
    EXPECT_EQ(st.st_mtim.tv_sec, 315532801) << path;
    return st.st_mode & 07777;
  }

  TestFolder home_, source_;
  Paths paths_;
  int jobs_ = 0;
  std::string problem_;
  builder::PrepareContext context_;
  builder::Environment environment_;
  BuildpackStore store_;
  BuildpackSupply supply_;
};

TEST_F(Supply, LaysAFolderOutAsABuilderHasIt) {
  ASSERT_EQ(::symlink("data", (folder() + "/lib/link").c_str()), 0);
  const auto made = supply_.folder(folder());
  ASSERT_TRUE(made) << made.error().text();
  ASSERT_EQ(made->modules.size(), 1u);
  EXPECT_EQ(made->modules[0].name() + " " + made->modules[0].api, "me/tool@1.0 0.10");
  EXPECT_TRUE(made->modules[0].added);
  EXPECT_EQ(mode(made->key, "bin/detect"), 0755u) << "also where the folder lost the bit";
  EXPECT_EQ(mode(made->key, "bin/build"), 0755u);
  EXPECT_EQ(mode(made->key, "lib"), 0755u);
  EXPECT_EQ(mode(made->key, "lib/data"), 0644u);
  EXPECT_EQ(mode(made->key, "lib/run"), 0755u);
  EXPECT_EQ(mode(made->key, "lib/link"), 0777u);
  char value[2] = {};
  EXPECT_EQ(::getxattr((store_.dir() + "/" + made->key + kPlace).c_str(), "trusted.overlay.opaque",
                       value, sizeof value),
            1);
  EXPECT_EQ(stored(), std::vector<std::string>{made->key});
}

TEST_F(Supply, FindsAFolderAgainWithoutAWorker) {
  const std::string first = key(supply_.folder(folder()));
  EXPECT_EQ(jobs_, 1) << problem_;
  EXPECT_EQ(key(supply_.folder(folder())), first);
  ::chmod((folder() + "/lib/data").c_str(), 0640);
  source_.write("bp/.git/HEAD", "ref");
  EXPECT_EQ(key(supply_.folder(folder())), first) << "no other content";
  EXPECT_EQ(jobs_, 1);
  source_.write("bp/lib/data", "other");
  const std::string second = key(supply_.folder(folder()));
  EXPECT_NE(second, first);
  ::chmod((folder() + "/lib/data").c_str(), 0755);
  EXPECT_NE(key(supply_.folder(folder())), second);
  EXPECT_EQ(jobs_, 3) << problem_;
}

TEST_F(Supply, RefusesFoldersThatAreNoBuildpackAndLeavesNothing) {
  ASSERT_EQ(::symlink("../../etc", (folder() + "/lib/out").c_str()), 0);
  EXPECT_EQ(key(supply_.folder(folder())), "");
  EXPECT_EQ(problem_, "the symlink lib/out leads out of the buildpack, to ../../etc");
  ::unlink((folder() + "/lib/out").c_str());
  ASSERT_EQ(::symlink("../bin/../lib/data", (folder() + "/lib/in").c_str()), 0);
  ::unlink((folder() + "/bin/build").c_str());
  EXPECT_EQ(key(supply_.folder(folder())), "");
  EXPECT_EQ(problem_, "there is no bin/build in it");
  ::unlink((folder() + "/buildpack.toml").c_str());
  EXPECT_EQ(key(supply_.folder(folder())), "");
  EXPECT_EQ(problem_, "there is no buildpack.toml in it");
  EXPECT_EQ(stored(), std::vector<std::string>());
}

TEST_F(Supply, UnpacksAnArchiveOnceAndLooksAtItsStampAfterwards) {
  const auto write = [&](const std::string& content) {
    source_.write("bp.tar", TarBuilder()
                                .file("x/buildpack.toml", kToml)
                                .file("x/bin/build", content, {.mode = 0755, .uid = 12345})
                                .file("x/bin/detect", "")
                                .bytes());
    settle();
  };
  write("one");
  const std::string first = key(supply_.archive(source_ / "bp.tar"));
  EXPECT_EQ(jobs_, 1) << problem_;
  EXPECT_EQ(mode(first, "bin/build"), 0755u);
  EXPECT_EQ(key(supply_.archive(source_ / "bp.tar")), first);
  EXPECT_EQ(jobs_, 1);
  write("one");
  EXPECT_EQ(key(supply_.archive(source_ / "bp.tar")), first) << "another file, the same content";
  EXPECT_EQ(jobs_, 2);
  write("two");
  EXPECT_NE(key(supply_.archive(source_ / "bp.tar")), first);
  EXPECT_EQ(problem_, "");
}

TEST_F(Supply, MakesScriptsAndWhatHidesOthers) {
  const InlineScript script{.api = "0.10", .body = "echo"};
  const auto made = supply_.script("me/tool", "1.0", script);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(mode(made->key, "bin/build"), 0755u);
  EXPECT_EQ(key(supply_.script("me/tool", "1.0", script)), made->key);
  EXPECT_EQ(key(supply_.script("me/tool", "", script)).empty(), false) << problem_;
  const auto hides = supply_.hide({{.id = "me/tool", .version = "1.0"}});
  ASSERT_TRUE(hides) << hides.error().text();
  EXPECT_TRUE(hides->modules.empty());
  EXPECT_TRUE(exists(store_.dir() + "/" + hides->key + kPlace));
  EXPECT_EQ(jobs_, 3);
}

TEST_F(Supply, MakesAgainWhatWasDamagedOrIsOfAnotherBoot) {
  const std::string first = key(supply_.folder(folder()));
  const std::string record = store_.dir() + "/" + first + "/record.json";
  std::string text = read_file(record).value();
  const std::size_t boot = text.find("boot_id\":\"") + 10;
  ASSERT_TRUE(write_file_atomic(record, text.replace(boot, 3, "zzz")));
  EXPECT_FALSE(store_.find(first));
  EXPECT_EQ(key(supply_.folder(folder())), first) << problem_;
  EXPECT_TRUE(store_.find(first));
  ASSERT_TRUE(write_file_atomic(record, "{"));
  EXPECT_EQ(key(supply_.folder(folder())), first) << problem_;
  EXPECT_EQ(jobs_, 3);
}

TEST_F(Supply, PrunesWhatNoBuildAskedFor) {
  using std::chrono::hours;
  const auto age = [&](const std::string& key, int days) {
    const timespec then{::time(nullptr) - days * 86400L, 0};
    const timespec times[2] = {then, then};
    ASSERT_EQ(::utimensat(AT_FDCWD, (store_.dir() + "/" + key + "/used").c_str(), times, 0), 0);
  };
  const std::string cheap = key(supply_.folder(folder()));
  source_.write(
      "bp.tar",
      TarBuilder().file("buildpack.toml", kToml).file("bin/build").file("bin/detect").bytes());
  const std::string archive = key(supply_.archive(source_ / "bp.tar"));
  ASSERT_TRUE(store_.prune(environment_, hours(0)));
  EXPECT_EQ(stored().size(), 2u) << "a build may stand on what is younger than a day";
  age(archive, 2);
  age(cheap, 2);
  ASSERT_TRUE(store_.prune(environment_, hours(24 * 30)));
  EXPECT_EQ(stored(), std::vector<std::string>{archive});
  age(archive, 31);
  ASSERT_TRUE(store_.prune(environment_, hours(24 * 30)));
  EXPECT_EQ(stored(), std::vector<std::string>());
  EXPECT_NE(key(supply_.archive(source_ / "bp.tar")), "") << problem_;
}

}  // namespace
}  // namespace locald::cnb
