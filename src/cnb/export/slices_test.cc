#include "cnb/export/slices.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/strings.h"
#include "oci/layer/test_tree.h"
#include "oci/spec/go_tool.h"

namespace locald::cnb {
namespace {

std::string answer(const std::string& pattern, const std::string& path) {
  const auto parsed = PathPattern::parse(pattern);
  return !parsed ? "bad" : parsed->matches(path) ? "yes" : "no";
}

/// Patterns and paths, each against each.
const std::vector<std::string> kPatterns = {
    "",       "*",        "**",     "?",         "a",       "a*",     "*a",     "*.txt",  "a/*",
    "*/*",    "a/**/b",   "a*/b",   "a*/b*c*d",  "a*b?c*x", "[a-c]",  "[^a-c]", "[a-]",   "[-a]",
    "[]a]",   "[",        "[a",     "[a-",       "[]",      "[^]",    "[^a]",   "a[",     "a[bc",
    "ab[^c]", "ab[^b-d]", "a???b",  "a[^a]b",    "[a-ζ]*",  "*[a-ζ]", "a?b",    "a*b",    "[\\]a]",
    "[\\-]",  "[x\\-]",   "\\*",    "\\",        "a\\",     "a\\b",   "[\\",    "[a\\",   "*x",
    "ä",      "?ä",       "[ä-ü]",  "*ä*",       "[^ä]",    "*[/]*",  "[/]",    "a[/]b",  "*b*b*b",
    "x*x*x*", "[a-b-c]",  "[!a]",   "{a,b}",     "./a",     "a/",     "\xff",   "[\xff]", "?\xff",
    "*\xff*", "[c-a]",    "a*?",    "a?*",       "*?*?*",   "[[]",    "[[]*]",  "]",      "a]*b",
    "*/b/*",  "*a/*b",    "[^\\]]", "[\\a-\\z]", "[a-\\",   "-",      "^a",     "[^^]"};
const std::vector<std::string> kPaths = {"",
                                         "a",
                                         "b",
                                         "ab",
                                         "abc",
                                         "a.txt",
                                         ".txt",
                                         "a/b",
                                         "a/b/c",
                                         "a/x/b",
                                         "-",
                                         "]",
                                         "[",
                                         "\\",
                                         "*",
                                         "ä",
                                         "aä",
                                         "äb",
                                         "ü",
                                         "ζ",
                                         "abbb",
                                         "xbbbx",
                                         "a☺b",
                                         "a☺☺☺b",
                                         "axbxcxd",
                                         "a/bcd",
                                         "^",
                                         "x",
                                         "xxx",
                                         "a\xff",
                                         "\xff",
                                         "\xc3",
                                         "a-b",
                                         "c",
                                         "!",
                                         "{a,b}",
                                         "a*b",
                                         "[]",
                                         "a]b",
                                         "xa/xa/b",
                                         "/",
                                         "a/",
                                         "/a",
                                         "abxbbxdbxebxczzx",
                                         "abxbbxdbxebxczzy",
                                         "é",
                                         "e\xcc\x81",
                                         "z"};

TEST(PathPattern, MatchesAsTheGoHereDoes) {
  const auto go = oci::test::find_go();
  if (!go) GTEST_SKIP() << "needs Go, in PATH or /usr/local/go";
  std::string input, ours;
  for (const std::string& pattern : kPatterns)
    for (const std::string& path : kPaths) {
      input += pattern + "\t" + path + "\n";
      ours += answer(pattern, path) + "\n";
    }
  const oci::test::TempDir dir;
  const auto theirs = split(oci::test::run_layer_tar(*go, {"match"}, dir.path(), input), '\n');
  const auto mine = split(ours, '\n');
  ASSERT_EQ(theirs.size(), mine.size());
  for (std::size_t i = 0; i + 1 < mine.size(); ++i)
    EXPECT_EQ(mine[i], theirs[i]) << "\"" << kPatterns[i / kPaths.size()] << "\" and \""
                                  << kPaths[i % kPaths.size()] << "\"";
}

TEST(PathPattern, MatchesAWholePathOfNamesOneByOne) {
  EXPECT_EQ(answer("static/*", "static/page.js"), "yes");
  EXPECT_EQ(answer("static/*", "static/css/page.css"), "no");
  EXPECT_EQ(answer("**", "a/b"), "no");
  EXPECT_EQ(answer("[ä-ü]", "ö"), "yes");
  EXPECT_EQ(answer("[a", "b"), "bad");
}

/// The paths of each layer, joined.
std::vector<std::string> sliced(const std::vector<std::string>& files,
                                const std::vector<std::vector<std::string>>& slices) {
  std::vector<SlicePath> paths = {{"", true}};
  for (const std::string& file : files) {
    const bool folder = file.ends_with('/');
    paths.push_back({folder ? file.substr(0, file.size() - 1) : file, folder});
  }
  const auto layers = slice_paths(paths, slices);
  if (!layers) return {layers.error().message()};
  std::vector<std::string> out;
  for (const auto& layer : *layers) {
    std::vector<std::string> names;
    for (const std::size_t i : layer) names.push_back(paths[i].path.empty() ? "." : paths[i].path);
    out.push_back(join(names, " "));
  }
  return out;
}

using Layers = std::vector<std::string>;

TEST(SlicePaths, WithoutSlicesThereIsOneLayerOfAll) {
  EXPECT_EQ(sliced({"a", "b/", "b/c"}, {}), (Layers{". a b b/c"}));
}

TEST(SlicePaths, ASliceHasWhatItMatchesAndTheFoldersAbove) {
  EXPECT_EQ(sliced({"a", "b/", "b/c", "b/d", "e"}, {{"b/c"}}), (Layers{". b b/c", ". a b b/d e"}));
  EXPECT_EQ(sliced({"a", "b/", "b/c", "b/d", "e"}, {{"./b/"}}), (Layers{". b b/c b/d", ". a e"}));
}

TEST(SlicePaths, WhatIsTakenIsTakenOnce) {
  EXPECT_EQ(sliced({"a", "b"}, {{"*"}, {"a", "b"}}), (Layers{". a b", "", ""}));
  EXPECT_EQ(sliced({"d/", "d/x", "d/y"}, {{"d/x"}, {"d"}}), (Layers{". d d/x", ". d d/y", ""}));
}

TEST(SlicePaths, AFolderIsDoneWhenAllInItIs) {
  EXPECT_EQ(sliced({"d/", "d/e/", "d/e/x", "d/e/y", "z"}, {{"d/e/x"}, {"d/e/y"}}),
            (Layers{". d d/e d/e/x", ". d d/e d/e/y", ". z"}));
}

TEST(SlicePaths, ASliceThatMatchesNothingIsALayerOfNothing) {
  EXPECT_EQ(sliced({"a"}, {{"nowhere"}, {}}), (Layers{"", "", ". a"}));
}

TEST(SlicePaths, ABadPatternIsNamedUnlessThereIsNothingToCompareItWith) {
  EXPECT_NE(sliced({"a"}, {{"[a"}})[0].find("invalid pattern \"[a\""), std::string::npos);
  EXPECT_EQ(sliced({}, {{"[a"}}), (Layers{"", "."}));
}

}  // namespace
}  // namespace locald::cnb
