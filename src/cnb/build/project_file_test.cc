#include "cnb/build/project_file.h"

#include <gtest/gtest.h>

#include "cnb/buildpacks/added_buildpacks.h"
#include "cnb/test_folder.h"

namespace locald::cnb {
namespace {

using Env = std::map<std::string, std::string>;

ProjectDescriptor descriptor(const std::string& text) {
  ParsedDescriptor parsed = parse_project_descriptor(text, "/p/project.toml");
  EXPECT_EQ(describe(parsed.problems), "");
  return std::move(parsed.descriptor);
}

TEST(ProjectFile, IsReadWhereThereIsOne) {
  const TestFolder app;
  EXPECT_FALSE(read_project_file(app.opened())->has_value());
  app.write("project.toml", "[project]\nname = 'x'\n");
  const auto read = read_project_file(app.opened());
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->file, app / "project.toml");
  EXPECT_EQ((*read)->descriptor.name, "x");
}

TEST(ProjectFile, ThatIsNoneIsRefused) {
  const TestFolder app;
  ASSERT_EQ(::mkdir((app / "project.toml").c_str(), 0700), 0);
  EXPECT_EQ(read_project_file(app.opened()).error().message(),
            app / "project.toml" + std::string(" is not a regular file"));
  ::rmdir((app / "project.toml").c_str());
  ASSERT_EQ(::mkfifo((app / "project.toml").c_str(), 0600), 0);
  EXPECT_EQ(read_project_file(app.opened()).error().code(), Errc::invalid_input);
  ::unlink((app / "project.toml").c_str());
  ASSERT_EQ(::symlink("/etc/hostname", (app / "project.toml").c_str()), 0);
  EXPECT_EQ(read_project_file(app.opened()).error().code(), Errc::invalid_input)
      << "what is outside of the app is not the app's";
  ::unlink((app / "project.toml").c_str());
  app.write("real.toml", "");
  ASSERT_EQ(::symlink("real.toml", (app / "project.toml").c_str()), 0);
  EXPECT_TRUE(read_project_file(app.opened()).value());
  ::unlink((app / "project.toml").c_str());
  app.write("project.toml", std::string((1u << 20) + 1, '#'));
  EXPECT_EQ(read_project_file(app.opened()).error().code(), Errc::invalid_input);
}

TEST(ProjectFile, TellsAllProblemsAtOnce) {
  const TestFolder app;
  app.write("project.toml", "[build]\nbuilder = 1\ninclude = 2\n");
  EXPECT_EQ(read_project_file(app.opened()).error().message(),
            "2 problems in project.toml:\n" + app.path() +
                "/project.toml:2:11: `builder` must be a string, not a number (put it in "
                "quotes)\n" +
                app.path() +
                "/project.toml:3:11: `include` must be an array of strings, not a number");
}

TEST(ProjectFile, SaysWhatIsSent) {
  const PathFilter all = source_filter(descriptor(""));
  EXPECT_TRUE(all.keeps("project.toml", false));
  EXPECT_FALSE(all.keeps(".git", true));
  EXPECT_FALSE(all.keeps("locald.toml", false));
  const PathFilter some = source_filter(descriptor("[build]\ninclude = ['src/', 'locald.toml']\n"));
  EXPECT_TRUE(some.keeps("src/a", false));
  EXPECT_FALSE(some.keeps("project.toml", false));
  EXPECT_FALSE(some.keeps("locald.toml", false)) << "not even where it is asked for";
  const PathFilter most = source_filter(descriptor("[build]\nexclude = ['*.log']\n"));
  EXPECT_FALSE(most.keeps("a/x.log", false));
  EXPECT_FALSE(most.keeps("a/.git", true));
}

TEST(ProjectFile, GivesVariablesOfTheExecutionEnvironment) {
  const auto d = descriptor(R"([_]
schema-version = "0.3"
[[io.buildpacks.build.env]]
name = "A"
value = "1"
[[io.buildpacks.build.env]]
name = "A"
value = "2"
[[io.buildpacks.build.env]]
name = "A"
value = "3"
exec-env = ["test"]
[[io.buildpacks.build.env]]
name = "P"
value = "p"
exec-env = ["production", "staging"]
[[io.buildpacks.build.env]]
name = "Q"
value = "q"
exec-env = ["*"]
)");
  EXPECT_EQ(build_environment(d, "", {}), (Env{{"A", "2"}, {"P", "p"}, {"Q", "q"}}));
  EXPECT_EQ(build_environment(d, "production", {{"A", "mine"}}),
            (Env{{"A", "mine"}, {"P", "p"}, {"Q", "q"}}));
  EXPECT_EQ(build_environment(d, "test", {{"B", "b"}}), (Env{{"A", "3"}, {"B", "b"}, {"Q", "q"}}));
}

TEST(ProjectFile, EntriesAreForAllEnvironmentsOrForThoseTheyName) {
  EXPECT_TRUE(is_for({}, ""));
  EXPECT_TRUE(is_for({"production"}, ""));
  EXPECT_FALSE(is_for({"test"}, ""));
  EXPECT_TRUE(is_for({"test", "*"}, ""));
  EXPECT_TRUE(is_for({"test"}, "test"));
}

}  // namespace
}  // namespace locald::cnb
