// What messages say of keys, in the words of a compose file.
#include "project/wording.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "base/source_dir.h"
#include "base/sys/fs_at.h"

namespace locald::project {
namespace {

TEST(Wording, SaysKeysAndValuesAsTheFileHasThem) {
  const auto said = [](std::string_view text) { return in_compose_words(text); };
  EXPECT_EQ(said("give a number (user = \"1000\")"), "give a number (user: \"1000\")");
  EXPECT_EQ(said("with user = \"NAME\" (-u NAME)"), "with user: NAME (-u NAME)");
  EXPECT_EQ(said("or write network = \"host\""), "or write network_mode: host");
  EXPECT_EQ(said("write network = \"project\""), "write `networks`");
  EXPECT_EQ(said("`health`, `volumes` and `address`"),
            "`healthcheck`, `volumes` and `ipv4_address`");
  EXPECT_EQ(said("add a table [networks.back]"), "add `networks.back`");
  EXPECT_EQ(said("write the `subnet` into [networks.back]: 10.1.0.0/24"),
            "write the `ipam.config.subnet` into `networks.back`: 10.1.0.0/24");
  EXPECT_EQ(
      said("write ports = [\"8080:80\"], move all such ports with `locald up "
           "--low-ports=+8000` (or low_ports = \"+8000\" below [project]), or allow them"),
      "write ports: [\"8080:80\"], move all such ports with `locald up --low-ports=+8000`, or "
      "allow them");
  EXPECT_EQ(said("pids = 512, cpus = 1.5"), "pids_limit: 512, cpus: 1.5");
  for (const char* same : {"a = ", "x == y", "`services.web.health`", "[1, 2]", "", "`", "a ="})
    EXPECT_EQ(said(same), same);
}

/// The string literals of a source text, those beside each other as one.
std::vector<std::string> literals(const std::string& source) {
  std::vector<std::string> out;
  bool beside = false;  // nothing but blanks since the last one
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source.compare(i, 2, "//") == 0) {
      i = std::min(source.find('\n', i), source.size() - 1);
    } else if (source[i] == '\'' && i + 2 < source.size()) {
      i += source[i + 1] == '\\' ? 3 : 2;
    } else if (source[i] == '"') {
      std::string text;
      for (++i; i < source.size() && source[i] != '"'; ++i) {
        if (source[i] == '\\') ++i;
        text += source[i];
      }
      if (beside)
        out.back() += text;
      else
        out.push_back(text);
      beside = true;
      continue;
    } else if (source[i] != ' ' && source[i] != '\n') {
      beside = false;
    }
  }
  return out;
}

/// Whatever a service or its project may be told: nothing of it is TOML for people who have none.
TEST(Wording, KnowsWhateverTheSourcesSay) {
  const std::regex toml(R"(\b[a-z_]+ = ["\[{]|\[(project|services\.|networks\.)|locald\.toml)");
  std::size_t worded = 0;
  for (const char* room : {"builder", "net", "runtime", "project/resolve", "server/launch",
                           "server/supervise", "server/networks"}) {
    for (const auto& file : std::filesystem::recursive_directory_iterator(
             std::string(LOCALD_SOURCE_DIR) + "/src/" + room)) {
      const std::string path = file.path();
      if (!path.ends_with(".cc") || path.ends_with("_test.cc")) continue;
      const auto source = read_file(path);
      ASSERT_TRUE(source) << path;
      for (const std::string& literal : literals(*source)) {
        const std::string said = in_compose_words(literal);
        worded += said != literal ? 1 : 0;
        EXPECT_FALSE(std::regex_search(said, toml)) << path << ": " << literal << "\nis " << said;
      }
    }
  }
  EXPECT_GT(worded, 20u);
}

}  // namespace
}  // namespace locald::project
