// The corpus of compose files: verdicts and models beside those of the reference loader.
#include <gtest/gtest.h>
#include <stdlib.h>  // NOLINT: mkdtemp

#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "project/compose/canonical_json.h"
#include "project/compose/corpus_testing.h"
#include "project/compose/load.h"

namespace locald::project::compose {
namespace {

/// Verdicts that differ on purpose: the file, and why.
const std::map<std::string, std::string> kOtherVerdicts = {
    {"fx-compose-017", "the reference cannot print the ssh keys of what it has accepted"},
    {"fx-podman-compose-220", "the reference cannot print the ssh keys of what it has accepted"}};

/// Members of the canonical form that differ on purpose: "FILE PATH", and why.
const std::map<std::string, std::string> kOtherValues = {};

/// The file whose absence a message of the reference is about; "" where it is about something else.
std::string missing_file(const std::string& message) {
  for (const std::string_view before : {"env file ", "open ", "stat "}) {
    const std::size_t at = message.find(before);
    if (at == std::string::npos || message.find("no such file") == std::string::npos) continue;
    const std::string rest = message.substr(at + before.size());
    return rest.substr(0, rest.find_first_of(before[1] == 'n' ? " " : ":"));
  }
  return {};
}

/// Where two documents differ, as "PATH: ours | theirs".
void differences(const Json& ours, const Json& theirs, const std::string& path,
                 std::vector<std::string>& out) {
  if (ours.is_object() && theirs.is_object()) {
    std::set<std::string> keys;
    for (const auto& [key, value] : ours.as_object()) keys.insert(key);
    for (const auto& [key, value] : theirs.as_object()) keys.insert(key);
    for (const std::string& key : keys) {
      const std::string inner = path + "." + key;
      if (!ours.contains(key))
        out.push_back(inner + ": (none) | " + shortened(theirs[key].dump(), 200));
      else if (!theirs.contains(key))
        out.push_back(inner + ": " + shortened(ours[key].dump(), 200) + " | (none)");
      else
        differences(ours[key], theirs[key], inner, out);
    }
    return;
  }
  if (ours.is_array() && theirs.is_array() && ours.as_array().size() == theirs.as_array().size()) {
    for (std::size_t i = 0; i < ours.as_array().size(); ++i)
      differences(ours.as_array()[i], theirs.as_array()[i], path + "[" + std::to_string(i) + "]",
                  out);
    return;
  }
  if (ours.is_number() && theirs.is_number() && ours.as_double() == theirs.as_double()) return;
  if (!(ours == theirs))
    out.push_back(path + ": " + shortened(ours.dump(), 200) + " | " +
                  shortened(theirs.dump(), 200));
}

TEST(ComposeCorpus, IsJudgedAndReadAsByTheReference) {
  const Corpus corpus;
  if (!corpus.there())
    GTEST_SKIP() << "the corpus is not here: give LOCALD_COMPOSE_CORPUS=…/compose-corpus.tar.zst";
  int same_verdict = 0, same_model = 0, accepted = 0, all = 0, intended = 0;
  for (const CorpusRow& row : rows(corpus)) {
    ++all;
    Request request;
    request.dir = "/corpus/" + row.name;
    request.files = {"compose.yaml"};
    request.name = "p";
    request.home = "/nonexistent";
    const Project project = load_project(request, corpus.access());
    const bool good = project.report.good();
    accepted += row.accepted ? 1 : 0;
    if (good != row.accepted) {
      if (kOtherVerdicts.count(row.name) != 0) {
        ++intended;
        continue;
      }
      ADD_FAILURE() << row.name << ": the reference " << (row.accepted ? "accepts" : "refuses")
                    << "; it says: " << row.message
                    << "\n  we say: " << describe(project.report.problems);
      continue;
    }
    ++same_verdict;
    if (!good) {
      const std::string missing = missing_file(row.message);
      EXPECT_NE(describe(project.report.problems).find(missing), std::string::npos)
          << row.name << " should name " << missing << ":\n  " << describe(project.report.problems);
      if (::getenv("LOCALD_COMPOSE_MESSAGES") != nullptr)
        std::printf("%s\n  theirs: %s\n  ours:   %s\n", row.name.c_str(), row.message.c_str(),
                    describe(project.report.problems).c_str());
      continue;
    }
    const auto text = read_file((corpus.folder() / row.name / "canonical.json").string());
    ASSERT_TRUE(text.has_value()) << row.name;
    const auto theirs = Json::parse(*text, {.reject_duplicates = false});  // a_b beside A_B
    ASSERT_TRUE(theirs.has_value()) << row.name << theirs.error().message();
    std::vector<std::string> found;
    differences(canonical_json(project.model), *theirs, "", found);
    std::erase_if(found, [&](const std::string& difference) {
      const bool meant =
          kOtherValues.count(row.name + " " + difference.substr(0, difference.find(": "))) != 0;
      intended += meant ? 1 : 0;
      return meant;
    });
    EXPECT_TRUE(found.empty()) << row.name << ":\n  " << join(found, "\n  ");
    same_model += found.empty() ? 1 : 0;
  }
  std::printf(
      "compose corpus: %d of %d verdicts are the reference's, %d of %d models; %d differ on "
      "purpose\n",
      same_verdict, all, same_model, accepted, intended);
  EXPECT_GT(all, 400);
}

}  // namespace
}  // namespace locald::project::compose
