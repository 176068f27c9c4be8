#include "cli/manual.h"

#include <gtest/gtest.h>

#include "base/strings.h"
#include "cli/overview.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

TEST(Manual, HasAPageForEachVerbWithAllOfItsOptions) {
  const auto pages = manual_pages("0.1.0");
  EXPECT_EQ(pages.size(), all_verbs().size() + 1);
  for (const Verb* verb : all_verbs()) {
    const std::string name = "locald-" + join(split(verb->name, ' '), "-") + ".1";
    ASSERT_TRUE(pages.contains(name)) << name;
    const std::string& page = pages.at(name);
    EXPECT_NE(page.find(roff(verb->summary)), std::string::npos) << name;
    for (const Option& o : verb->options)
      EXPECT_NE(page.find("\\fB" + roff(std::string("--") + o.name) + "\\fR"), std::string::npos)
          << name << " " << o.name;
    EXPECT_NE(pages.at("locald.1").find(roff(verb->name)), std::string::npos) << name;
  }
}

TEST(Manual, NoLineOfTextIsTakenForARequest) {
  EXPECT_EQ(roff(".env\n'x' a\\b --all `k` ~/x"),
            "\\&.env\n\\&\\(aqx\\(aq a\\eb \\-\\-all \\(gak\\(ga \\(ti/x");
}

TEST(Manual, ExamplesKeepTheirLinesAndProseIsFilled) {
  const Verb verb{.name = "try it",
                  .usage = "[-x]",
                  .summary = "try",
                  .details = "One line\nand another.\n\n  locald up\n  locald down\n\nEnd.\n",
                  .options = {{'x', "all", "N", "everything"}},
                  .run = nullptr};
  EXPECT_EQ(manual_page(verb, "1.2.3"),
            ".TH LOCALD\\-TRY\\-IT 1 \"\" \"locald 1.2.3\" \"locald\"\n"
            ".SH NAME\nlocald\\-try\\-it \\- try\n"
            ".SH SYNOPSIS\n\\fBlocald try it\\fR [\\-x]\n"
            ".SH DESCRIPTION\n.PP\nOne line\nand another.\n"
            ".PP\n.EX\n  locald up\n  locald down\n.EE\n.PP\nEnd.\n"
            ".SH OPTIONS\n.TP\n\\fB\\-x\\fR, \\fB\\-\\-all\\fR \\fIN\\fR\neverything\n"
            ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nshow a short text\n"
            ".SH SEE ALSO\n\\fBlocald\\fR(1)\n");
}

TEST(Manual, TheOverviewIsGroupedAndFits80Columns) {
  for (const std::string& line : split(overview(), '\n')) EXPECT_LE(line.size(), 80u) << line;
  std::size_t grouped = 0;
  for (const VerbGroup& group : verb_groups()) {
    EXPECT_NE(overview().find("\n" + std::string(group.title) + ":\n"), std::string::npos);
    EXPECT_LE(group.verbs.size(), 12u) << "a group fits a screen of 24 lines";
    grouped += group.verbs.size();
  }
  EXPECT_EQ(grouped, all_verbs().size());
}

TEST(Manual, TheOverviewAndTheMainPageSayTheSame) {
  const std::string page = manual_pages("0.1.0").at("locald.1");
  for (const char* text : {kPurpose, kEnvironment, kExitCodes}) {
    EXPECT_NE(overview().find(text), std::string::npos);
    EXPECT_NE(page.find(roff(trim(text))), std::string::npos);
  }
}

}  // namespace
}  // namespace locald::cli
