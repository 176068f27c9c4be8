#include "cli/args.h"

#include <gtest/gtest.h>

#include "base/strings.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

std::string parsed(const Verb& verb, const std::vector<std::string>& words) {
  const auto args = Args::parse(verb, words);
  if (!args) return "error: " + args.error().message() + " / " + args.error().hint();
  if (args.value().wants_help()) return "help";
  std::string text;
  for (const Option& o : verb.options)
    if (args.value().has(o.name))
      text += std::string(o.name) + "=" + join(args.value().values(o.name), ",") + " ";
  return text + "| " + join(args.value().arguments(), " ");
}

TEST(Args, OptionsMayStandAnywhereAndInClusters) {
  EXPECT_EQ(parsed(kLogs, {"-f", "web", "--tail", "5"}), "follow= tail=5 | web");
  EXPECT_EQ(parsed(kLogs, {"web", "db", "-ftn3"}), "follow= tail=3 timestamps= | web db");
  EXPECT_EQ(parsed(kLogs, {"--tail=7", "--", "-x"}), "tail=7 | -x");
}

TEST(Args, OptionsEndAtTheServiceOrImage) {
  EXPECT_EQ(parsed(kExec, {"-it", "db", "psql", "-U", "x", "--help"}),
            "interactive= tty= | db psql -U x --help");
  EXPECT_EQ(parsed(kExec, {"db", "--", "ls", "-l"}), "| db ls -l");
  EXPECT_EQ(parsed(kExec, {"--", "db", "ls"}), "| db ls");
  EXPECT_EQ(parsed(kContainerRun, {"--rm", "-e", "A=1", "-eB", "img", "sh", "-c", "x", "--", "y"}),
            "rm= env=A=1,B | img sh -c x -- y");
}

TEST(Args, OnlyTheFirstDashesAreLeftOut) {
  EXPECT_EQ(parsed(kExec, {"db", "--", "--", "x"}), "| db -- x");
}

TEST(Args, ATypoIsNamedAndMended) {
  EXPECT_EQ(parsed(kLogs, {"--tial", "5"}), "error: unknown option --tial / did you mean --tail?");
  EXPECT_TRUE(parsed(kUp, {"-x"}).starts_with("error: unknown option -x / usage: locald up"));
  EXPECT_TRUE(parsed(kUp, {"-dx"}).starts_with("error: unknown option -x"));
  EXPECT_EQ(parsed(kUp, {"-p", "name"}),
            "error: unknown option -p / it goes before the verb: locald -p … up");
}

TEST(Args, ValuesAreAskedForAndRefused) {
  EXPECT_TRUE(parsed(kUp, {"--timeout"}).starts_with("error: option --timeout needs a value"));
  EXPECT_TRUE(parsed(kUp, {"--wait=yes"}).starts_with("error: option --wait takes no value"));
}

TEST(Args, TheNumberOfArgumentsIsChecked) {
  EXPECT_TRUE(parsed(kStop, {}).starts_with("error: an argument is missing: SERVICE…"));
  EXPECT_TRUE(parsed(kExec, {"db"}).starts_with("error: too few arguments: SERVICE COMMAND"));
  EXPECT_TRUE(parsed(kDown, {"web"}).starts_with("error: too many arguments: web"));
}

TEST(Args, HelpWinsOverWhatIsMissing) {
  EXPECT_EQ(parsed(kStop, {"--help"}), "help");
  EXPECT_EQ(parsed(kExec, {"-h"}), "help");
}

TEST(Args, EveryVerbExplainsItself) {
  for (const Verb* verb : all_verbs()) {
    const std::string text = help_text(*verb);
    EXPECT_NE(text.find(verb->summary), std::string::npos) << verb->name;
    EXPECT_NE(verb->run, nullptr) << verb->name;
    for (const Option& o : verb->options)
      EXPECT_NE(text.find(std::string("--") + o.name), std::string::npos) << verb->name;
  }
}

TEST(Durations, AreReadAsInTheProjectFile) {
  EXPECT_EQ(parse_duration_ms("--timeout", "1m30s").value(), 90'000);
  EXPECT_EQ(parse_duration_ms("--timeout", "200ms").value(), 200);
  EXPECT_EQ(parse_duration_ms("--timeout", "5").value(), 5'000);
  for (const char* wrong : {"", "x", "5x", "s", "-1s", "1m30"})
    EXPECT_FALSE(parse_duration_ms("--timeout", wrong)) << wrong;
}

TEST(Since, TakesDurationsTimesAndSeconds) {
  constexpr std::uint64_t kNow = 1'800'000'000'000'000'000;
  EXPECT_EQ(parse_since_ns("10s", kNow).value(), kNow - 10'000'000'000);
  EXPECT_EQ(parse_since_ns("1700000000", kNow).value(), 1'700'000'000'000'000'000u);
  EXPECT_EQ(parse_since_ns("2023-11-14T22:13:20Z", kNow).value(), 1'700'000'000'000'000'000u);
  EXPECT_EQ(parse_since_ns("2023-11-14T23:13:20.5+01:00", kNow).value(),
            1'700'000'000'500'000'000u);
  // 1,800,000,000 is 08:00:00 UTC.
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  constexpr std::uint64_t kMinute = 60'000'000'000;
  EXPECT_EQ(parse_since_ns("07:33", kNow).value(), kNow - 27 * kMinute);
  EXPECT_EQ(parse_since_ns("7:59:30", kNow).value(), kNow - kMinute / 2);
  EXPECT_EQ(parse_since_ns("16:00", kNow).value(), kNow - 16 * 60 * kMinute) << "yesterday's";
  EXPECT_EQ(parse_since_ns("16:00", kNow, "--until").value(), kNow + 8 * 60 * kMinute);
  for (const char* wrong : {"yesterday", "2023-11-14T", "2023-11-14T22:13:20X", "24:00", "7:60",
                            "-1:30", "7:", ":30", "7:30x", "7:30:1:2"})
    EXPECT_FALSE(parse_since_ns(wrong, kNow)) << wrong;
}

}  // namespace
}  // namespace locald::cli
