// The corpus of compose files: which can be brought up as they are, and what keeps the others.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "project/compose/corpus_testing.h"
#include "project/compose_front/compose_front.h"
#include "project/network_check.h"
#include "project/project_check.h"

namespace locald::project::compose {
namespace {

/// "`services.web.cap_add` is not supported: …": "cap_add".
std::string key_of(const std::string& message) {
  const std::size_t end = message.find("` is not supported");
  if (end == std::string::npos) return "other: " + message.substr(0, 90);
  const std::string path = message.substr(1, end - 1);
  return path.substr(path.rfind('.') + 1);
}

TEST(ComposeCorpus, IsTakenOverOrRefusedAtItsPlaces) {
  const Corpus corpus;
  if (!corpus.there())
    GTEST_SKIP() << "the corpus is not here: give LOCALD_COMPOSE_CORPUS=…/compose-corpus.tar.zst";
  int accepted = 0, as_it_is = 0;
  std::map<std::string, int> keys;
  for (const CorpusRow& row : rows(corpus)) {
    if (!row.accepted) continue;
    ProjectRef ref{
        .dir = "/corpus/" + row.name, .file = "/corpus/" + row.name + "/compose.yaml", .name = "p"};
    LoadedProject project = read_project(ref, corpus.access());
    decide_networks(project.spec, NetworkUse::Mode::project);
    check_project(project.spec, project.problems);
    ++accepted;
    as_it_is += project.problems.empty() ? 1 : 0;
    std::map<std::string, int> here;
    for (const Problem& problem : project.problems) {
      here[key_of(problem.message)] = 1;
      EXPECT_TRUE(problem.at.line != 0 && problem.file.starts_with("/corpus/"))
          << row.name << ": " << describe({problem});
    }
    for (const auto& [key, once] : here) keys[key] += once;
  }
  std::printf("compose corpus: %d of %d projects can be brought up as they are\n", as_it_is,
              accepted);
  if (::getenv("LOCALD_COMPOSE_MESSAGES") != nullptr)
    for (const auto& [key, times] : keys) std::printf("  %3d %s\n", times, key.c_str());
  EXPECT_GT(as_it_is * 2, accepted);
}

}  // namespace
}  // namespace locald::project::compose
