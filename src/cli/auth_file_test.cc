#include "cli/auth_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/json/json.h"
#include "base/sys/fs_at.h"

namespace locald::cli {
namespace {

class AuthFile : public testing::Test {
 protected:
  AuthFile() {
    char name[] = "/tmp/locald-auth-XXXXXX";
    dir_ = ::mkdtemp(name);
    file_ = dir_ + "/containers/auth.json";
  }
  ~AuthFile() override { (void)remove_tree(dir_); }

  Json content() { return *Json::parse(*read_file(file_)); }
  std::string dir_, file_;
};

TEST(Base64, IsThatOfTheSpecification) {
  EXPECT_EQ(to_base64(""), "");
  EXPECT_EQ(to_base64("f"), "Zg==");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  EXPECT_EQ(to_base64("foo"), "Zm9v");
  EXPECT_EQ(to_base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(to_base64("\xff\xfe\xfd\xfc"), "//79/A==");
}

TEST_F(AuthFile, HoldsALoginThatNobodyElseCanRead) {
  ASSERT_TRUE(store_login(file_, "registry.example:5000", "me", "hush:hush"));
  struct stat st {};
  ASSERT_EQ(::stat(file_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777u, 0600u);
  EXPECT_EQ(content()["auths"]["registry.example:5000"]["auth"].as_string(), "bWU6aHVzaDpodXNo");
}

TEST_F(AuthFile, WhatElseIsInItStays) {
  ASSERT_TRUE(make_dirs(dir_ + "/containers"));
  ASSERT_TRUE(write_file_atomic(
      file_, R"({"credHelpers": {"a.example": "pass"}, "auths": {"https://index.docker.io/v1/":
          {"auth": "eDp5"}, "b.example": {"auth": "eDp5"}}})"));
  ASSERT_TRUE(store_login(file_, "docker.io", "me", "new"));
  EXPECT_EQ(content()["credHelpers"]["a.example"].as_string(), "pass");
  EXPECT_EQ(content()["auths"].as_object().size(), 2u) << "the old spelling has gone";
  EXPECT_EQ(content()["auths"]["b.example"]["auth"].as_string(), "eDp5");
  EXPECT_EQ(login_helper(file_, "a.example"), "pass");
  EXPECT_EQ(login_helper(file_, "b.example"), "");
  EXPECT_EQ(remove_login(file_, "c.example").value(), 0u);
  EXPECT_EQ(remove_login(file_, "b.example").value(), 1u);
  EXPECT_EQ(content()["auths"].as_object().size(), 1u);
  EXPECT_EQ(remove_login(file_, std::nullopt).value(), 1u);
  EXPECT_TRUE(content()["auths"].as_object().empty());
}

TEST_F(AuthFile, OneThatIsSomethingElseIsLeftAlone) {
  ASSERT_TRUE(make_dirs(dir_ + "/containers"));
  ASSERT_TRUE(write_file_atomic(file_, "{oops"));
  EXPECT_EQ(store_login(file_, "docker.io", "me", "x").error().code(), Errc::invalid_input);
  EXPECT_EQ(remove_login(file_, std::nullopt).error().code(), Errc::invalid_input);
  EXPECT_EQ(*read_file(file_), "{oops");
  EXPECT_EQ(remove_login(dir_ + "/none.json", std::nullopt).value(), 0u);
}

}  // namespace
}  // namespace locald::cli
