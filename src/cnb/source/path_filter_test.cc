#include "cnb/source/path_filter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/json/json.h"
#include "base/source_dir.h"

namespace locald::cnb {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? "" : path.substr(0, slash);
}

/// A tree of paths, folders with a slash at the end, and what a walk brings home of it.
struct Tree {
  std::vector<std::string> paths;

  static bool is_folder(const std::string& path) { return path.ends_with('/'); }
  static std::string name(const std::string& path) {
    return is_folder(path) ? path.substr(0, path.size() - 1) : path;
  }

  /// All that is kept, looking at every path.
  std::set<std::string> kept(const PathFilter& filter) const {
    std::set<std::string> out;
    for (const std::string& path : paths)
      if (filter.keeps(name(path), is_folder(path))) out.insert(path);
    return out;
  }

  /// The same, going into a folder only where something may be.
  std::set<std::string> walked(const PathFilter& filter) const {
    std::set<std::string> out, open;
    if (filter.may_hold("")) open.insert("");
    for (const std::string& path : paths) {  // a folder stands before what is in it
      if (!open.contains(folder_of(name(path)))) continue;
      if (filter.keeps(name(path), is_folder(path))) out.insert(path);
      if (is_folder(path) && filter.may_hold(name(path))) open.insert(name(path));
    }
    return out;
  }
};

struct Recorded {
  std::vector<std::string> patterns;
  std::set<std::string> ignored;
};

/// What git said: see tests/golden/gitignore/record.py. LOCALD_GITIGNORE_CASES names another file
/// of that form.
std::vector<Recorded> recorded(Tree& tree) {
  const char* other = std::getenv("LOCALD_GITIGNORE_CASES");
  const std::string file =
      other != nullptr ? other
                       : std::string(LOCALD_SOURCE_DIR) + "/tests/golden/gitignore/cases.json";
  std::stringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  const auto doc = Json::parse(text.str(), {.max_bytes = 1u << 30});
  EXPECT_TRUE(doc) << file;
  std::vector<Recorded> out;
  if (!doc) return out;
  tree.paths = (*doc)["paths"].as_strings();
  for (const Json& c : (*doc)["cases"].as_array()) {
    Recorded& r = out.emplace_back();
    r.patterns = c["patterns"].as_strings();
    for (const Json& i : c["ignored"].as_array())
      r.ignored.insert(tree.paths[static_cast<std::size_t>(i.as_int())]);
  }
  return out;
}

std::string shown(const std::vector<std::string>& patterns) { return Json(patterns).dump(); }

TEST(PathFilter, ExcludesWhatGitIgnores) {
  Tree tree;
  const auto cases = recorded(tree);
  ASSERT_GE(cases.size(), 250u);
  int with_matches = 0;
  for (const Recorded& c : cases) {
    std::set<std::string> want(tree.paths.begin(), tree.paths.end());
    for (const std::string& path : c.ignored) want.erase(path);
    EXPECT_EQ(tree.kept(PathFilter::exclude(c.patterns)), want) << shown(c.patterns);
    with_matches += c.ignored.empty() ? 0 : 1;
  }
  EXPECT_GE(with_matches, 180);
}

TEST(PathFilter, IncludesWhatGitWouldIgnore) {
  Tree tree;
  for (const Recorded& c : recorded(tree)) {
    // With a `!` the two differ, and a list of blanks and comments includes nothing: see the
    // header.
    bool plain = false;
    for (const std::string& p : c.patterns) plain = plain || !p.empty();
    for (const std::string& p : c.patterns) plain = plain && !p.starts_with('!');
    if (!plain) continue;
    EXPECT_EQ(tree.kept(PathFilter::include(c.patterns)), c.ignored) << shown(c.patterns);
  }
}

TEST(PathFilter, AWalkMissesNothing) {
  Tree tree;
  for (const Recorded& c : recorded(tree)) {
    for (const auto& filter : {PathFilter::include(c.patterns), PathFilter::exclude(c.patterns),
                               PathFilter::include(c.patterns).without({"d/", "*.log"})})
      EXPECT_EQ(tree.walked(filter), tree.kept(filter)) << shown(c.patterns);
  }
}

TEST(PathFilter, TwoStarsWithinANameAreOneStar) {
  // As documented; what git does itself here is in record.py.
  const auto filter = PathFilter::exclude({"d/e**/a", "foo**/bar"});
  EXPECT_FALSE(filter.keeps("d/e/a", false));
  EXPECT_FALSE(filter.keeps("d/eee/a", false));
  EXPECT_TRUE(filter.keeps("d/e/f/a", false));
  EXPECT_FALSE(filter.keeps("foo.d/bar", true));
  EXPECT_TRUE(filter.keeps("foobar", false));
}

TEST(PathFilter, LeavesNoEmptyFolderBehind) {
  const auto filter = PathFilter::exclude({"foo/"});
  EXPECT_FALSE(filter.keeps("foo", true));
  EXPECT_FALSE(filter.may_hold("foo"));
  EXPECT_TRUE(filter.keeps("foo", false));  // a file of that name
  // Who excludes what is in a folder keeps the folder.
  EXPECT_TRUE(PathFilter::exclude({"foo/*"}).keeps("foo", true));
}

TEST(PathFilter, WhatIsBelowAnExcludedFolderStaysExcluded) {
  const auto filter = PathFilter::exclude({"foo/", "!foo/keep"});
  EXPECT_FALSE(filter.keeps("foo/keep", false));
  EXPECT_FALSE(filter.may_hold("foo"));
}

TEST(PathFilter, AnIncludedFolderMayBeIncludedInPart) {
  const auto filter = PathFilter::include({"src/", "*.go", "!src/test/", "!vendor/"});
  EXPECT_TRUE(filter.keeps("src/a/b", false));
  EXPECT_FALSE(filter.keeps("src/test", true));
  EXPECT_FALSE(filter.keeps("src/test/x.go", false));
  EXPECT_FALSE(filter.keeps("vendor/x.go", false));
  EXPECT_TRUE(filter.keeps("cmd/x.go", false));
  EXPECT_FALSE(filter.may_hold("src/test"));
  EXPECT_FALSE(filter.may_hold("vendor"));
  EXPECT_TRUE(filter.may_hold("cmd"));
  EXPECT_FALSE(filter.keeps("cmd", true));  // nothing of it but what it leads to
  // The order decides.
  EXPECT_TRUE(PathFilter::include({"!vendor/", "*.go"}).keeps("vendor/x.go", false));
}

TEST(PathFilter, GoesOnlyWhereAnIncludedPathCanLead) {
  const auto filter = PathFilter::include({"/cmd/*/main.go", "docs/**/img", "/go.mod"});
  EXPECT_TRUE(filter.may_hold(""));
  EXPECT_TRUE(filter.may_hold("cmd"));
  EXPECT_TRUE(filter.may_hold("cmd/server"));
  EXPECT_FALSE(filter.may_hold("cmd/server/other"));
  EXPECT_FALSE(filter.may_hold("src"));
  EXPECT_TRUE(filter.may_hold("docs/a/b/c"));
  EXPECT_TRUE(filter.may_hold("docs/a/img/below"));
  EXPECT_FALSE(filter.may_hold("go.mod.d"));
}

TEST(PathFilter, AnEmptyListIsNoList) {
  EXPECT_TRUE(PathFilter::include({}).keeps("a/b", false));
  EXPECT_TRUE(PathFilter::exclude({}).keeps("a/b", false));
  EXPECT_FALSE(PathFilter::include({"# nothing"}).keeps("a", false));
  EXPECT_TRUE(PathFilter::include({"# nothing"}).keeps("", true));
  EXPECT_FALSE(PathFilter::include({"# nothing"}).may_hold(""));
}

TEST(PathFilter, AnEntryMayHoldSeveralLines) {
  const auto filter = PathFilter::exclude({"*.log\r\n# comment\n!keep.log\n"});
  EXPECT_FALSE(filter.keeps("a.log", false));
  EXPECT_TRUE(filter.keeps("keep.log", false));
  EXPECT_TRUE(filter.keeps("# comment", false));
}

TEST(PathFilter, NeverSendsTheRepositoryNorOurOwnFile) {
  for (const auto& list : {PathFilter(), PathFilter::exclude({"!.git", "!locald.toml"}),
                           PathFilter::include({"*", ".git/"})}) {
    const auto filter = list.without(never_sent());
    EXPECT_FALSE(filter.keeps(".git", true));
    EXPECT_FALSE(filter.may_hold(".git"));
    EXPECT_FALSE(filter.keeps("sub/.git", false));
    EXPECT_FALSE(filter.keeps("locald.toml", false));
    EXPECT_TRUE(filter.keeps("sub/locald.toml", false));
    EXPECT_TRUE(filter.keeps(".gitignore", false));
    EXPECT_TRUE(filter.keeps(".github", true));
  }
}

TEST(PathFilter, AHostilePatternCostsNoMoreThanItsLengthTimesThePaths) {
  std::string stars, globstars, classes;
  for (int i = 0; i < 500; ++i) stars += "*a";
  for (int i = 0; i < 500; ++i) globstars += "**/a/";
  for (int i = 0; i < 500; ++i) classes += "*[a-z]?";
  const std::string name(255, 'a');
  std::string deep = "a";
  while (deep.size() < 4000) deep += "/a";
  const auto start = std::chrono::steady_clock::now();
  for (const auto& pattern : {stars + "b", globstars + "b", classes + "0", "/" + stars + "/b",
                              "**/" + stars + "b/**/" + stars + "b"}) {
    for (const auto& filter : {PathFilter::exclude({pattern}), PathFilter::include({pattern})}) {
      filter.keeps(name, false);
      filter.keeps(deep, false);
      filter.may_hold(deep);
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace locald::cnb
