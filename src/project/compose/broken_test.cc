// Broken files, made of a good one by rule: each is refused with the line that is wrong, or is not
// broken; none ends the program.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "project/compose/testing.h"

namespace locald::project::compose {
namespace {

constexpr std::string_view kGood = R"(name: shop
x-common: &common
  restart: unless-stopped
  logging:
    driver: json-file
    options:
      max-size: 10m
services:
  web:
    <<: *common
    image: "nginx:${TAG:-1}"
    command: ["nginx", "-g", "daemon off;"]
    ports:
      - "8080:80"
      - target: 443
        published: 8443
        protocol: tcp
    volumes:
      - ./html:/usr/share/nginx/html:ro
      - type: volume
        source: data
        target: /data
        read_only: true
    environment:
      MODE: production
      WORKERS: 4
    depends_on:
      db:
        condition: service_healthy
        restart: true
    networks:
      front:
        aliases:
          - www
        ipv4_address: 10.1.0.2
    healthcheck:
      test: curl -f localhost
      interval: 10s
      timeout: 1m30s
      retries: 3
    deploy:
      replicas: 1
      resources:
        limits:
          cpus: "0.5"
          memory: 64m
    secrets:
      - source: key
        target: /run/key
        mode: 0440
    stop_grace_period: 20s
    mem_swappiness: 10
  db:
    build:
      context: ./db
      dockerfile: Dockerfile.db
      args:
        VERSION: 3
    user: "999"
    tmpfs: /tmp
    networks: [front]
    ulimits:
      nofile:
        soft: 10
        hard: 20
    extra_hosts:
      - "host.local:10.0.0.1"
networks:
  front:
    driver: bridge
    internal: false
    ipam:
      config:
        - subnet: 10.1.0.0/24
volumes:
  data:
    driver_opts:
      type: none
secrets:
  key:
    file: ./key.txt
)";

std::vector<std::string> lines_of(std::string_view text) { return split(text, '\n'); }

/// The place of the key in a line: [first, end); empty where there is none.
std::pair<std::size_t, std::size_t> key_in(const std::string& line) {
  const std::size_t first = line.find_first_not_of(" -");
  const std::size_t end = first == std::string::npos ? first : line.find(':', first);
  if (end == std::string::npos || line[first] == '"' || line[first] == '<') return {0, 0};
  return {first, end};
}

/// Lines (1-based) of the keys that are names, or members without a fixed name.
bool has_free_key(unsigned line) {
  static const std::set<std::string> kFree = {"x-common", "max-size", "web",   "db",
                                              "MODE",     "WORKERS",  "front", "VERSION",
                                              "data",     "nofile",   "type",  "key"};
  const std::string text = lines_of(kGood)[line - 1];
  const auto [first, end] = key_in(text);
  return end == 0 || kFree.count(text.substr(first, end - first)) != 0 ||
         text.find("./html") != std::string::npos;
}

/// Loads it; what is wrong stands in the file.
Project judged(const std::string& text) {
  Project project = load(text);
  const auto lines = static_cast<unsigned>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (const Problem& problem : project.report.problems) {
    EXPECT_EQ(problem.file, "/p/compose.yaml") << problems(project);
    EXPECT_LE(problem.at.line, lines) << problems(project);
    EXPECT_FALSE(problem.message.empty());
  }
  return project;
}

bool told_at(const Project& project, unsigned line) {
  return std::any_of(project.report.problems.begin(), project.report.problems.end(),
                     [&](const Problem& problem) { return problem.at.line == line; });
}

TEST(ComposeBroken, TheGoodOneIsGood) { EXPECT_EQ(problems(load(std::string(kGood))), ""); }

TEST(ComposeBroken, EachMisspelledKeyIsToldWithTheRightOne) {
  const std::vector<std::string> lines = lines_of(kGood);
  int made = 0;
  for (unsigned i = 1; i <= lines.size(); ++i) {
    const auto [first, end] = key_in(lines[i - 1]);
    if (end == 0 || has_free_key(i)) continue;
    const std::string key = lines[i - 1].substr(first, end - first);
    for (const std::string& wrong :
         {key + "x", key.substr(0, key.size() - 1) + "q" + key.substr(key.size() - 1)}) {
      std::vector<std::string> broken = lines;
      broken[i - 1].replace(first, key.size(), wrong);
      const Project project = judged(join(broken, "\n"));
      ++made;
      // What an anchor marks is judged where it is used, and told where it is written.
      EXPECT_TRUE(told_at(project, i)) << wrong << " in line " << i << ": " << problems(project);
      EXPECT_TRUE(key.size() < 4 || contains(problems(project), "`" + key + "`"))
          << wrong << ": " << problems(project);
    }
  }
  EXPECT_GT(made, 90);
}

TEST(ComposeBroken, ValuesOfAWrongKindAreToldInTheirLine) {
  const std::vector<std::string> lines = lines_of(kGood);
  int made = 0, refused = 0;
  for (unsigned i = 1; i <= lines.size(); ++i) {
    const std::size_t colon = lines[i - 1].find(": ");
    if (colon == std::string::npos || has_free_key(i)) continue;
    for (const char* value : {"[[1]]", "{a: {b: c}}", "3.5", "${", "\"${X:?needed}\""}) {
      std::vector<std::string> broken = lines;
      broken[i - 1] = lines[i - 1].substr(0, colon + 2) + value;
      const Project project = judged(join(broken, "\n"));
      ++made;
      if (project.report.good()) continue;
      ++refused;
      EXPECT_TRUE(told_at(project, i) || contains(problems(project), "`services"))
          << value << " in line " << i << ": " << problems(project);
    }
  }
  EXPECT_GT(made, 150);
  EXPECT_GT(refused, made * 9 / 10);
}

TEST(ComposeBroken, LinesThatAreMissingDoubledIndentedOrCut) {
  const std::vector<std::string> lines = lines_of(kGood);
  int made = 0;
  const auto judge = [&](std::vector<std::string> broken) {
    ++made;
    return judged(join(broken, "\n"));
  };
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    std::vector<std::string> broken = lines;
    broken.erase(broken.begin() + static_cast<std::ptrdiff_t>(i));
    judge(broken);
    broken = lines;
    broken[i].insert(0, "\t");
    EXPECT_FALSE(judge(broken).report.good()) << "a tab in line " << i + 1;
    broken = lines;
    broken[i].insert(0, " ");
    judge(broken);
    broken = lines;
    broken[i] += " \"open";
    judge(broken);
    broken = lines;
    broken.resize(i);
    judge(broken);
    broken = lines;
    broken[i] = broken[i].substr(0, broken[i].size() / 2);
    judge(broken);
    const auto [first, end] = key_in(lines[i]);
    if (end == 0 || lines[i].find('-') < first || end + 1 == lines[i].size()) continue;
    broken = lines;
    broken.insert(broken.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    const Project twice = judge(broken);
    EXPECT_TRUE(contains(problems(twice), "already")) << "line " << i + 1 << " twice";
    EXPECT_TRUE(told_at(twice, static_cast<unsigned>(i) + 2)) << problems(twice);
  }
  EXPECT_GT(made, 500);
}

}  // namespace
}  // namespace locald::project::compose
