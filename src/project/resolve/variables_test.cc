// The order in which `${VAR}` is looked up, and what an `up` from another terminal may change.
#include "project/resolve/variables.h"

#include <gtest/gtest.h>

namespace locald::project {
namespace {

using Env = std::map<std::string, std::string>;

Variables::Input input(const Env& env, const std::optional<std::string>& dotenv,
                       const Capture* before, bool refresh) {
  Variables::Input out{.env = env,
                       .dotenv = "/p/.env",
                       .captured = {},
                       .refresh = refresh,
                       .read = [dotenv](const std::string&) -> Result<std::string> {
                         if (!dotenv) return Error(Errc::not_found, "none");
                         return *dotenv;
                       }};
  if (before != nullptr)
    out.captured = [before](const std::string&,
                            const std::string& name) -> std::optional<CapturedValue> {
      const auto it = before->find(name);
      return it == before->end() ? std::nullopt : std::optional(it->second);
    };
  return out;
}

/// One `up`: looks `names` up for the service "web".
struct Up {
  Up(Env environment, const std::optional<std::string>& dotenv, const Capture* before,
     const std::vector<std::string>& names, bool refresh = false)
      : env(std::move(environment)), variables(input(env, dotenv, before, refresh)) {
    variables.at("web", "/p/locald.toml", {3, 4});
    for (const std::string& name : names) values[name] = variables.value(name).value_or("<unset>");
    variables.problems(problems, "shop");
    capture = variables.capture();
    for (const auto& [service, text] : variables.notices()) notices += text + "\n";
  }
  Env env;
  Variables variables;
  Env values;
  Problems problems;
  Capture capture;
  std::string notices;
};

TEST(Variables, TheEnvironmentBeforeTheFileBeforeWhatWasCaptured) {
  const Up first({{"A", "env"}, {"B", "env"}}, "A=file\nF=file\n", nullptr, {"A", "B", "F", "N"});
  EXPECT_EQ(first.values, (Env{{"A", "env"}, {"B", "env"}, {"F", "file"}, {"N", "<unset>"}}));
  EXPECT_TRUE(first.problems.empty());
  EXPECT_EQ(first.notices, "");
  // Another terminal, where none of them is set.
  const Up second({}, "F=file\n", &first.capture, {"A", "B", "F", "N"});
  EXPECT_EQ(second.values, first.values);
  EXPECT_TRUE(second.problems.empty());
  EXPECT_NE(second.notices.find("A, B ("), std::string::npos) << second.notices;
  EXPECT_EQ(second.capture, first.capture);
  // And a third one keeps it still.
  EXPECT_EQ(Up({}, "F=file\n", &second.capture, {"A", "B", "F"}).values.at("B"), "env");
}

TEST(Variables, OnlyWhatIsUsedIsCaptured) {
  const Up up({{"A", "1"}, {"SECRET", "2"}}, "OTHER=3\n", nullptr, {"A"});
  EXPECT_EQ(up.capture.size(), 1u);
  EXPECT_EQ(up.capture.at("A"), (CapturedValue{"1", true}));
}

TEST(Variables, AnotherValueHereIsAProblemAndRefreshTakesIt) {
  const Up first({{"A", "1"}, {"PATH", "/bin"}}, std::nullopt, nullptr, {"A"});
  const Up other({{"A", "2"}, {"PATH", "/other"}}, std::nullopt, &first.capture, {"A"});
  ASSERT_EQ(other.problems.size(), 1u);
  EXPECT_EQ(place(other.problems[0].file, other.problems[0].at), "/p/locald.toml:3:4: ");
  EXPECT_EQ(other.problems[0].message,
            "A has another value here than where shop was brought up; used by web");
  EXPECT_NE(other.problems[0].hint.find("locald up --env-refresh"), std::string::npos);
  const Up refresh({{"A", "2"}}, std::nullopt, &first.capture, {"A"}, /*refresh=*/true);
  EXPECT_TRUE(refresh.problems.empty());
  EXPECT_EQ(refresh.values.at("A"), "2");
  EXPECT_EQ(refresh.capture.at("A"), (CapturedValue{"2", true}));
  EXPECT_TRUE(Up({{"A", "1"}}, std::nullopt, &first.capture, {"A"}).problems.empty());
}

TEST(Variables, OneThatWasNotSetIsAnotherValueTooAndANewOneIsNot) {
  const Up first({}, std::nullopt, nullptr, {"DEBUG"});  // ${DEBUG:-}
  EXPECT_EQ(Up({{"DEBUG", "1"}}, std::nullopt, &first.capture, {"DEBUG"}).problems.size(), 1u);
  const Up fresh({{"NEW", "1"}}, std::nullopt, &first.capture, {"DEBUG", "NEW"});
  EXPECT_TRUE(fresh.problems.empty()) << "the file did not use it";
  EXPECT_EQ(fresh.values.at("NEW"), "1");
}

TEST(Variables, AnEditedFileTakesEffect) {
  const Up first({{"A", "env"}}, "F=1\nG=1\n", nullptr, {"A", "F", "G"});
  const Up second({}, "F=2\nA=file\n", &first.capture, {"A", "F", "G"});
  EXPECT_TRUE(second.problems.empty());
  EXPECT_EQ(second.values, (Env{{"A", "file"}, {"F", "2"}, {"G", "<unset>"}}));
  // What the file says is the same in a shell that has it exported.
  EXPECT_TRUE(Up({{"F", "2"}}, "F=2\n", &second.capture, {"F"}).problems.empty());
  EXPECT_EQ(Up({{"F", "3"}}, "F=2\n", &second.capture, {"F"}).problems.size(), 1u);
}

TEST(Variables, WhatAValueOfTheFileRefersToCounts) {
  const Up first({{"HOST", "a"}}, "BASE=http://$HOST\nURL=${BASE}/x\nLONE=$NOBODY\n", nullptr,
                 {"URL"});
  EXPECT_EQ(first.values.at("URL"), "http://a/x");
  EXPECT_TRUE(first.capture.contains("HOST"));
  EXPECT_EQ(first.notices, "") << "LONE is not used";
  const std::string dotenv = "BASE=http://$HOST\nURL=${BASE}/x\n";
  EXPECT_EQ(Up({}, dotenv, &first.capture, {"URL"}).values.at("URL"), "http://a/x");
  EXPECT_EQ(Up({{"HOST", "b"}}, dotenv, &first.capture, {"URL"}).problems.size(), 1u);
  EXPECT_NE(Up({}, "A=$NOBODY\n", nullptr, {"A"}).notices.find("/p/.env:1: A: $NOBODY is not set"),
            std::string::npos);
}

TEST(Variables, AChainInTheFileMayBeLong) {
  std::string chain = "A0=x\n";
  for (int i = 1; i < 50000; ++i)
    chain += "A" + std::to_string(i) + "=$A" + std::to_string(i - 1) + "\n";
  EXPECT_EQ(Up({}, chain, nullptr, {"A49999"}).values.at("A49999"), "x");
}

TEST(Variables, AnUnreadableFileIsAProblemOnlyWhereItIsNeeded) {
  const Env env{{"A", "1"}};
  const auto ask = [&](const std::string& name) {
    Variables variables({.env = env,
                         .dotenv = "/p/.env",
                         .captured = {},
                         .read = [](const std::string& path) -> Result<std::string> {
                           return Error(Errc::denied, "open " + path + ": Permission denied");
                         }});
    (void)variables.value(name);
    Problems problems;
    variables.problems(problems, "shop");
    return describe(problems);
  };
  EXPECT_EQ(ask("A"), "");
  EXPECT_NE(ask("B").find("/p/.env: Permission denied"), std::string::npos);
}

}  // namespace
}  // namespace locald::project
