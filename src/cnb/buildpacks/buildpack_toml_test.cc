#include "cnb/buildpacks/buildpack_toml.h"

#include <gtest/gtest.h>

namespace locald::cnb {
namespace {

constexpr const char* kGood = "api = \"0.10\"\n[buildpack]\nid = \"a/b\"\nversion = \"1.2\"\n";

std::string problem(const std::string& text) {
  const auto parsed = parse_buildpack_toml(text, "buildpack.toml");
  return parsed ? "" : parsed.error().message();
}

TEST(BuildpackToml, SaysNameApiAndOrder) {
  const auto m = parse_buildpack_toml(
      std::string(kGood) +
          "name = \"B\"\n[metadata]\nx = 1\n[[order]]\n[[order.group]]\nid = \"c/d\"\n"
          "version = \"3\"\noptional = true\n",
      "f");
  ASSERT_TRUE(m) << m.error().text();
  EXPECT_EQ(m->name() + " " + m->api, "a/b@1.2 0.10");
  EXPECT_EQ(m->order, (Order{{{"c/d", "3", true}}}));
}

TEST(BuildpackToml, LeavesTargetsAndStacksToTheLifecycle) {
  EXPECT_EQ(problem(std::string(kGood) + "[[targets]]\nos = \"plan9\"\n[[stacks]]\nid = \"*\"\n"),
            "");
}

TEST(BuildpackToml, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(problem("[buildpack\n").rfind("buildpack.toml:1:", 0), 0u);
  EXPECT_EQ(problem("api = \"0.10\"\n"), "buildpack.toml: there is no table [buildpack]");
  EXPECT_EQ(problem("[buildpack]\nid = \"a\"\nversion = \"1\"\n"),
            "buildpack.toml: there is no `api`");
  EXPECT_EQ(problem("api = 0.10\n[buildpack]\nid = \"a\"\nversion = \"1\"\n"),
            "buildpack.toml:1:7: `api` must be a string, not a number");
  EXPECT_EQ(problem("api = \"new\"\n[buildpack]\nid = \"a\"\nversion = \"1\"\n"),
            "buildpack.toml:1:7: invalid API version \"new\"");
  EXPECT_EQ(problem("api = \"0.10\"\n[extension]\nid = \"a\"\n"),
            "buildpack.toml:2:1: it is an image extension");
  EXPECT_EQ(problem("api = \"0.10\"\n[buildpack]\nversion = \"1\"\n"),
            "buildpack.toml:2:1: `id` is missing (it must be a string)");
}

TEST(BuildpackToml, RefusesNamesThatCannotBeInAPath) {
  for (const char* id : {"a/../b", "..", "/a", "a//b", "", "a b", "app", "a\\u0000"})
    EXPECT_NE(
        problem("api = \"0.10\"\n[buildpack]\nid = \"" + std::string(id) + "\"\nversion = \"1\"\n"),
        "")
        << id;
  for (const char* version : {"..", ".", "1/2", "", "a b"})
    EXPECT_NE(problem("api = \"0.10\"\n[buildpack]\nid = \"a\"\nversion = \"" +
                      std::string(version) + "\"\n"),
              "")
        << version;
}

TEST(BuildpackToml, RefusesAnOrderThatIsNone) {
  const std::string order = "[[order]]\n[[order.group]]\nid = \"c\"\n";
  EXPECT_EQ(problem(kGood + order),
            "buildpack.toml:6:1: `version` is missing (it must be a string)");
  EXPECT_EQ(problem(kGood + order + "version = \"1\"\n[[targets]]\nos = \"linux\"\n"),
            "buildpack.toml:9:1: `targets` beside an `order`: a buildpack made of others has none");
  EXPECT_EQ(problem(std::string(kGood) + "[[order]]\n"),
            "buildpack.toml:5:1: a group of the order is empty");
}

TEST(PackageToml, SaysWhereTheirPartsComeFrom) {
  const auto p = parse_package_toml(
      "[buildpack]\nuri = \"../src\"\n[[dependencies]]\nuri = \"./a\"\n[[dependencies]]\nimage = "
      "\"example.com/b:1\"\n[[dependencies]]\nuri = "
      "\"urn:cnb:registry:a/b@1.0.0\"\n[[targets]]\nos "
      "= \"linux\"\n",
      "/p/package.toml");
  ASSERT_TRUE(p) << p.error().text();
  EXPECT_EQ(p->base, "../src");
  ASSERT_EQ(p->dependencies.size(), 3u);
  EXPECT_EQ(p->dependencies[0].uri, BuildpackUri(LocalPath{"./a"}));
  EXPECT_EQ(std::get<ImageName>(p->dependencies[1].uri).reference.repository, "b");
  EXPECT_EQ(p->dependencies[1].at.line, 5u);
  EXPECT_EQ(parse_package_toml("[buildpack]\nuri = \".\"\n", "/p/package.toml")->base, "");
}

TEST(PackageToml, SaysWhatIsWrongAndWhere) {
  const auto said = [](const std::string& text) {
    return parse_package_toml("[[dependencies]]\n" + text, "/p/package.toml").error().message();
  };
  EXPECT_EQ(said(""), "/p/package.toml:1:1: a dependency has one of `uri` and `image`");
  EXPECT_EQ(said("uri = \"a\"\nimage = \"b\"\n"),
            "/p/package.toml:1:1: a dependency has one of `uri` and `image`");
  EXPECT_EQ(said("uri = \"from=builder\"\n"),
            "/p/package.toml:2:7: `uri`: the builder's order is not part of a buildpack");
  EXPECT_EQ(said("uri = \"ftp://x/y\"\n").rfind("/p/package.toml:2:7: `uri`: ", 0), 0u);
  EXPECT_EQ(said("image = \"UPPER CASE\"\n").rfind("/p/package.toml:2:9: `image`: ", 0), 0u);
}

TEST(Scripts, AreBuildpacksThatAnyLifecycleTakes) {
  const ScriptFiles files = script_files("me/x", "1.0", "0.10", "/bin/bash -e", "echo \"hi\"\n");
  const auto m = parse_buildpack_toml(files.buildpack_toml, "buildpack.toml");
  ASSERT_TRUE(m) << m.error().text();
  EXPECT_EQ(m->name() + " " + m->api, "me/x@1.0 0.10");
  EXPECT_EQ(files.build, "#!/bin/bash -e\n\necho \"hi\"\n\n");
  EXPECT_EQ(files.detect, "#!/bin/bash -e\n\nexit 0\n");
}

}  // namespace
}  // namespace locald::cnb
