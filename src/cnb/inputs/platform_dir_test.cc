#include "cnb/inputs/platform_dir.h"

#include <gtest/gtest.h>

#include "cnb/test_folder.h"

namespace locald::cnb {
namespace {

TEST(PlatformDir, HoldsVariablesAndBindingsForEverybodyInside) {
  TestFolder f;
  ::umask(077);
  ASSERT_TRUE(write_platform_dir(f / "platform", {{"BP_X", "1 2"}},
                                 {{"ca", {{"type", "ca-certificates"}, {"a.pem", "pem"}}}}));
  ::umask(022);
  EXPECT_EQ(f.read("platform/env/BP_X"), "1 2");
  EXPECT_EQ(f.read("platform/bindings/ca/type"), "ca-certificates");
  for (const char* path : {"platform", "platform/env", "platform/bindings/ca"})
    EXPECT_EQ(f.stat(path).st_mode & 0777, 0755u) << path;
  EXPECT_EQ(f.stat("platform/bindings/ca/a.pem").st_mode & 0777, 0644u);
  EXPECT_FALSE(write_platform_dir(f / "other", {{"../x", "1"}}, {}));
}

TEST(PlatformDir, ReadsABindingAsASecretIsMounted) {
  TestFolder f;
  f.write("b/..data/password", "p");
  f.write("b/type", "postgresql\n");
  ASSERT_EQ(::symlink("..data/password", (f / "b/password").c_str()), 0);
  ASSERT_EQ(::mkdir((f / "b/folder").c_str(), 0755), 0);
  const Binding binding = read_binding("db", f / "b", f.judge()).value();
  EXPECT_EQ(binding.files,
            (std::map<std::string, std::string>{{"password", "p"}, {"type", "postgresql\n"}}));
}

TEST(PlatformDir, TakesNothingFromElsewhereIntoABindingThatContainersWriteTo) {
  TestFolder f;
  f.write("b/type", "x");
  f.write("secret", "s");
  ASSERT_EQ(::symlink("../secret", (f / "b/password").c_str()), 0);
  EXPECT_EQ(read_binding("db", f / "b", f.judge()).value().files.at("password"), "s");
  PathJudge judge = f.judge();
  judge.add_shared({f / "b", "service a of project p"});
  EXPECT_EQ(read_binding("db", f / "b", judge).error().code(), Errc::denied);
}

TEST(PlatformDir, SaysWhatIsWrongWithABinding) {
  TestFolder f;
  f.write("b/password", "p");
  const auto no_type = read_binding("db", f / "b", f.judge());
  EXPECT_EQ(no_type.error().code(), Errc::invalid_input);
  EXPECT_NE(no_type.error().hint().find("/b/type"), std::string::npos);
  EXPECT_EQ(read_binding("db", f / "none", f.judge()).error().code(), Errc::not_found);
  EXPECT_FALSE(read_binding("a/b", f / "b", f.judge()));
  f.write("b/type", "x");
  f.write("b/big", std::string((1u << 20) + 1, 'x'));
  EXPECT_FALSE(read_binding("db", f / "b", f.judge()));
}

TEST(PlatformDir, GivesTheHostsCertificatesWhenAsked) {
  TestFolder f;
  f.write("ca.pem", "pem");
  AppSpec app;
  app.host_ca_file = f / "ca.pem";
  EXPECT_EQ(host_ca_binding(app).value()->files.at("ca-certificates.crt"), "pem");
  app.host_ca = false;
  EXPECT_FALSE(host_ca_binding(app).value());
  app.host_ca = true;
  app.host_ca_file = f / "none";
  EXPECT_FALSE(host_ca_binding(app)) << "asked for, and not there";
}

}  // namespace
}  // namespace locald::cnb
