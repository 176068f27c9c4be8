#include "cli/complete.h"

#include <gtest/gtest.h>

#include "base/strings.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

using Words = std::vector<std::string>;

Candidates candidates(const Words& words) {
  Names names;
  names.services = [] { return Words{"web", "worker", "db"}; };
  names.containers = [] { return Words{"box"}; };
  names.images = [] { return Words{"redis:7", "postgres:15"}; };
  names.projects = [] { return Words{"shop"}; };
  return complete(words, names);
}

std::string completed(const Words& words) {
  const Candidates found = candidates(words);
  Words out;
  for (const Candidate& c : found.words) out.push_back(c.word);
  if (found.files) out.emplace_back("FILES");
  return join(out, " ");
}

TEST(Complete, KnowsEveryVerbAndEveryOption) {
  for (const Verb* verb : all_verbs()) {
    Words words = split(verb->name, ' ');
    const auto has = [](const Words& at, const std::string& word) {
      for (const Candidate& c : candidates(at).words)
        if (c.word == word) return !c.text.empty();
      return false;
    };
    if (words.size() == 2) {
      EXPECT_TRUE(has({""}, words[0])) << verb->name;
      EXPECT_TRUE(has({words[0], ""}, words[1])) << verb->name;
    } else {
      EXPECT_TRUE(has({""}, words[0])) << verb->name;
    }
    words.emplace_back("--");
    // "--" is both the beginning of options and the end of them: it is being typed here.
    for (const Option& option : verb->options)
      EXPECT_TRUE(has(words, std::string("--") + option.name)) << verb->name << " " << option.name;
  }
}

TEST(Complete, NamesStandWhereTheUsageHasThem) {
  EXPECT_EQ(completed({"up", "w"}), "web worker");
  EXPECT_EQ(completed({"up", "-d", "web", "d"}), "db");
  EXPECT_EQ(completed({"exec", "-it", ""}), "web worker db");
  EXPECT_EQ(completed({"exec", "-u", ""}), "") << "a user";
  EXPECT_EQ(completed({"exec", "-u", "root", "d"}), "db");
  EXPECT_EQ(completed({"exec", "db", ""}), "FILES") << "a command";
  EXPECT_EQ(completed({"exec", "db", "--", "-"}), "FILES");
  EXPECT_EQ(completed({"run", "-w", ""}), "FILES");
  EXPECT_EQ(completed({"attach", "web", ""}), "") << "one alone";
  EXPECT_EQ(completed({"image", "rm", "re"}), "redis:7");
  EXPECT_EQ(completed({"image", "rm", "redis:"}), "redis:7");
  EXPECT_EQ(completed({"image", "unpack", "redis:7", ""}), "FILES");
  EXPECT_EQ(completed({"image", "pull", "--policy", "m"}), "missing");
  EXPECT_EQ(completed({"container", "rm", ""}), "box");
  EXPECT_EQ(completed({"inspect", ""}), "web worker db box redis:7 postgres:15");
  EXPECT_EQ(completed({"project", "forget", ""}), "shop");
  EXPECT_EQ(completed({"completion", "z"}), "zsh");
}

TEST(Complete, WhatStandsBeforeTheVerbIsPassed) {
  EXPECT_EQ(completed({"-C", ""}), "FILES");
  EXPECT_EQ(completed({"-p", "s"}), "shop");
  EXPECT_EQ(completed({"-C", "/x", "-f", "y", "sta"}), "start status stats");
  EXPECT_EQ(completed({"-C", "/x", "stop", "we"}), "web");
  EXPECT_EQ(completed({"--v"}), "--version");
  EXPECT_EQ(completed({"help", "stat"}), "status stats");
  EXPECT_EQ(completed({"no-such-verb", "x", ""}), "");
}

TEST(Complete, ALineIsTakenApartAsAShellDoesIt) {
  EXPECT_EQ(words_of_line("locald up w"), (Words{"locald", "up", "w"}));
  EXPECT_EQ(words_of_line("locald  up "), (Words{"locald", "up", ""}));
  EXPECT_EQ(words_of_line("locald -C 'a b' \"c d\" e\\ f"),
            (Words{"locald", "-C", "a b", "c d", "e f"}));
  EXPECT_EQ(words_of_line("locald image rm redis:7"), (Words{"locald", "image", "rm", "redis:7"}));
  EXPECT_EQ(words_of_line(""), Words{""});
}

}  // namespace
}  // namespace locald::cli
