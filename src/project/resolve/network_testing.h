#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <string>
#include <utility>

#include "base/sys/fs_at.h"
#include "project/network_check.h"
#include "project/project_check.h"
#include "project/resolve/resolve_network.h"
#include "project/toml/toml_front.h"

/// For tests: a project file whose containers are in the project's network, with all values put in.
namespace locald::project {

class NetworkTest : public testing::Test {
 protected:
  NetworkTest() {
    char name[] = "/tmp/locald-networks-XXXXXX";
    dir = ::mkdtemp(name);
  }
  ~NetworkTest() override { (void)remove_tree(dir); }

  ProjectSpec spec(const std::string& text) {
    ParsedProject parsed = parse_project_toml(text, dir + "/locald.toml");
    decide_networks(parsed.spec, fallback);
    check_project(parsed.spec, parsed.problems);
    problems = std::move(parsed.problems);
    return std::move(parsed.spec);
  }
  Resolved run(const std::string& text, std::map<std::string, std::string> env = {}) {
    const ProjectSpec parsed = spec(text);
    EXPECT_EQ(describe(problems), "");
    const UserContext user{std::move(env), 022, {}};
    const Paths paths = Paths::from_env(
                            [&](const std::string& n) {
                              return n == "LOCALD_HOME" ? std::optional(dir) : std::nullopt;
                            },
                            1000)
                            .value();
    ResolveInput in{parsed, "shop", user, ports, paths, {}};
    in.rights = rights;
    in.programs = programs;
    return resolve(in);
  }
  std::string problem_of(const std::string& text) {
    const Resolved r = run(text);
    return r.problems.empty() ? "" : r.problems[0].message;
  }
  /// "LINE:COLUMN: message (hint)" of the only problem of the check, or else of what follows it.
  std::string told(const std::string& text, std::map<std::string, std::string> env = {}) {
    spec(text);
    Problems all = problems;
    if (all.empty()) all = run(text, std::move(env)).problems;
    if (all.size() != 1) return std::to_string(all.size()) + " problems: " + describe(all);
    const Problem& p = all[0];
    return std::to_string(p.at.line) + ":" + std::to_string(p.at.column) + ": " + p.message +
           (p.hint.empty() ? "" : " (" + p.hint + ")");
  }
  /// The notices, a line for each.
  std::string noticed(const std::string& text) {
    std::string out;
    for (const auto& [service, notice] : run(text).notices) out += notice + "\n";
    return out;
  }

  std::string dir;
  NetworkUse::Mode fallback = NetworkUse::Mode::project;
  std::map<std::string, int> ports;
  Rights rights;
  Programs programs;
  Problems problems;
};

inline const std::string kWeb = "[services.web]\ntype='container'\nimage='nginx:1'\n";
inline const std::string kDb =
    "[services.db]\ntype='container'\nimage='postgres:15'\ncontainer_port=5432\n";

}  // namespace locald::project
