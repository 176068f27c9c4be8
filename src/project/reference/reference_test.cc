// docs/locald-toml.md and docs/locald.schema.json are what the readers' tables say.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>
#include <map>
#include <string>

#include "base/node/toml.h"
#include "base/source_dir.h"
#include "base/sys/fs_at.h"
#include "project/canonical_text.h"
#include "project/network_check.h"
#include "project/reference/key_page.h"
#include "project/reference/key_schema.h"
#include "project/resolve/resolve.h"
#include "project/test_project.h"
#include "project/user_config.h"

namespace locald::project {
namespace {

void expect_current(const std::string& name, const std::string& text) {
  const std::string path = std::string(LOCALD_SOURCE_DIR) + "/docs/" + name;
  if (::getenv("LOCALD_RECORD") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, text, 0644));
  }
  const auto there = read_file(path);
  ASSERT_TRUE(there) << there.error().text();
  EXPECT_TRUE(*there == text) << "docs/" << name
                              << " is not what the tables say: LOCALD_RECORD=1 project_test "
                                 "--gtest_filter='Reference.*' writes it";
}

TEST(Reference, ThePageIsThatOfTheTables) { expect_current("locald-toml.md", key_page()); }

TEST(Reference, TheSchemaIsThatOfTheTables) {
  expect_current("locald.schema.json", key_schema().dump(/*pretty=*/true) + "\n");
}

/// Calls `visit` with the fields of each table within `shape`.
void each_table(const Shape& shape, const std::function<void(const KeyFields&)>& visit) {
  for (const Shape* part : shape.parts) each_table(*part, visit);
  if (shape.kind != Shape::Kind::table) return;
  const KeyFields fields = shape.fields();
  visit(fields);
  for (const Field& field : fields) each_table(field.shape, visit);
}

void each_key(const std::function<void(const Field&)>& visit) {
  const auto all = [&](const KeyFields& fields) {
    for (const Field& field : fields) visit(field);
  };
  const KeyFields file = looked_at<ProjectSpec, file_fields>();
  for (const Field& table : file) each_table(table.shape, all);
  each_table(user_config_shape(), all);
}

TEST(Reference, EachKeyIsDescribedAndHasAnExampleOfItself) {
  const std::string page = key_page();
  std::size_t seen = 0;
  each_key([&](const Field& field) {
    ++seen;
    const std::string name(field.name);
    EXPECT_TRUE(field.text.text.ends_with('.') || field.text.text.ends_with(')')) << name;
    EXPECT_NE(page.find(name + "`\n"), std::string::npos) << name << " has no heading";
    if (name == "type") return;
    const auto example = parse_toml(field.text.example, name);
    ASSERT_TRUE(example) << example.error().text();
    EXPECT_NE(std::string(field.text.example).find(name + " = "), std::string::npos) << name;
  });
  EXPECT_GT(seen, 100u);
}

class Defaults : public testing::Test {
 protected:
  Defaults() {
    char name[] = "/tmp/locald-reference-XXXXXX";
    dir_ = ::mkdtemp(name);
    EXPECT_TRUE(make_dirs(dir_ + "/p"));
  }
  ~Defaults() override { (void)remove_tree(dir_); }

  /// What `up` compares of the service `a`.
  std::string configuration(const std::string& text) {
    ParsedProject parsed = parse_project_toml(text, dir_ + "/p/locald.toml");
    decide_networks(parsed.spec, NetworkUse::Mode::project);
    check_project(parsed.spec, parsed.problems);
    EXPECT_EQ(describe(parsed.problems), "") << text;
    const auto home = [&](const std::string& name) {
      return name == "LOCALD_HOME" ? std::optional(dir_ + "/home") : std::nullopt;
    };
    const Paths paths = Paths::from_env(home, 1000).value();
    const UserContext user;
    const std::map<std::string, int> ports;
    const Resolved r = resolve({parsed.spec, "p", user, ports, paths, {}});
    EXPECT_EQ(describe(r.problems), "") << text;
    return r.services.contains("a") ? canonical_text(r.services.at("a")) : "";
  }

  /// That each default of `fields`, written by `with`, is what holds without it.
  void expect_same(const KeyFields& fields,
                   const std::function<std::string(const std::string& key)>& with) {
    for (const Field& field : fields) {
      if (field.text.fallback.empty()) continue;
      const std::string key = std::string(field.name) + " = " + std::string(field.text.fallback);
      EXPECT_EQ(configuration(with(key)), configuration(with(""))) << key;
      ++compared_;
    }
  }

  std::string dir_;
  int compared_ = 0;
};

TEST_F(Defaults, AreWhatHoldsWhereAKeyIsNotWritten) {
  const std::map<std::string_view, std::string> services = {
      {"exec", "[services.a]\ncommand = 'x'\n"},
      {"container", "[services.a]\ntype = 'container'\nimage = 'x'\n"},
      {"cnb", "[services.a]\ntype = 'cnb'\nbuilder = 'b'\n"}};
  for (const Shape& type : service_shapes()) {
    const std::string& begin = services.at(type.called);
    KeyFields fields = type.fields();
    if (type.called != "exec")
      std::erase_if(fields, [](const Field& f) { return f.name == "type"; });
    expect_same(fields, [&](const std::string& key) { return begin + key + "\n"; });
    // Those of the tables within, each beside what its table needs.
    const std::map<std::string_view, std::string> needed = {
        {"health", "exec = 'true'"}, {"restart", "policy = 'always'"}, {"build", "strict = false"}};
    for (const Field& field : fields)
      if (const auto at = needed.find(field.name); at != needed.end())
        each_table(field.shape, [&](KeyFields inner) {
          std::erase_if(inner, [](const Field& f) { return f.name == "strict"; });
          expect_same(inner, [&](const std::string& key) {
            return begin + std::string(field.name) + " = { " + at->second +
                   (key.empty() ? "" : ", " + key) + " }\n";
          });
        });
  }
  EXPECT_GT(compared_, 20);
}

TEST_F(Defaults, OfTheProjectToo) {
  const std::string service = "[services.a]\ntype = 'container'\nimage = 'x'\n";
  EXPECT_EQ(configuration("[project]\nnetwork = \"project\"\n" + service), configuration(service));
  const std::string networks = service + "networks = ['back']\n[networks.back]\n";
  EXPECT_EQ(configuration(networks + "internal = false\nipv6 = false\n"), configuration(networks));
}

}  // namespace
}  // namespace locald::project
