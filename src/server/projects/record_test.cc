// Records of earlier servers, as they lie in tests/golden/records: read as promised. Damaged ones:
// set aside or said, never taken for something else.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/source_dir.h"
#include "base/sys/fs_at.h"
#include "runtime/shim_record.h"
#include "server/projects/project.h"
#include "server/projects/project_registry.h"
#include "server/state/state_file.h"
#include "server/supervise/fake_launcher.h"

namespace locald::server {
namespace {

std::vector<std::string> recorded() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(LOCALD_SOURCE_DIR) +
                                                               "/tests/golden/records"))
    if (entry.is_directory()) out.push_back(entry.path());
  return out;
}

class RecordTest : public testing::TestWithParam<std::string> {
 protected:
  RecordTest() {
    std::string name = "/tmp/locald-record-XXXXXX";
    home = ::mkdtemp(name.data());
    paths = *Paths::from_env(
        [this](const std::string& n) {
          return n == "LOCALD_HOME" ? std::optional(home) : std::nullopt;
        },
        1000);
    EXPECT_TRUE(paths->create());
    EXPECT_TRUE(make_dirs(paths->run_projects()));
  }
  ~RecordTest() override { (void)remove_tree(home); }
  static std::string text(const std::string& name) { return *read_file(GetParam() + "/" + name); }
  Result<std::unique_ptr<Project>> restore(const std::string& record) {
    EXPECT_TRUE(write_file_atomic(paths->run_project("shop"), record));
    EXPECT_TRUE(write_file_atomic(paths->run_project_state("shop"), text("shop.state.json")));
    return Project::restore({loop, launcher, *paths, {}, [](const std::string&) {}}, "shop");
  }

  std::string home;
  std::optional<Paths> paths;
  EventLoop loop;
  FakeLauncher launcher{loop};
};

TEST_P(RecordTest, AProjectIsRestoredAndUnchanged) {
  auto project = restore(text("shop.json"));
  ASSERT_TRUE(project) << project.error().text();
  EXPECT_EQ((*project)->dir(), "/home/me/shop");
  const Supervisor::Unit* web = (*project)->supervisor().find("web");
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(web->config->env.at("GREETING"), "hello");
  EXPECT_EQ(web->user->env.at("USER"), "me");
  EXPECT_EQ(web->config->stop_timeout, project::Milliseconds(2000));
  // What is read is what was written, or `up` would restart what has not changed.
  const Json doc = *Json::parse(text("shop.json"));
  for (const auto& [service, entry] : doc["services"].as_object()) {
    const Json now = (*project)->supervisor().find(service)->config->to_json();
    const Json again = project::ServiceConfig::from_json(entry["config"])->to_json();
    EXPECT_EQ(now.dump(), again.dump());
    for (const auto& [key, value] : entry["config"].as_object())
      EXPECT_EQ(now[key].dump(), value.dump()) << service << "." << key;
  }
  (*project)->settle({{"web", ""}, {"cache", ""}});
  run_for(loop);
  EXPECT_EQ((*project)->status("once")->exit_code, 3);
  EXPECT_TRUE(launcher.log.empty());  // it has ended; nothing is started again
}

TEST_P(RecordTest, AProjectsDamagedRecordIsAnErrorNeverAnotherProject) {
  const std::string whole = text("shop.json");
  for (const std::string& damaged :
       {std::string(), whole.substr(0, whole.size() / 2), "{" + whole, std::string("[]"),
        std::string("{\"format\":1}"), std::string(300, '\xff')})
    EXPECT_FALSE(restore(damaged)) << damaged.substr(0, 60);
  std::string other = whole;
  other.replace(other.find("\"name\":\"shop\""), 13, "\"name\":\"shap\"");
  EXPECT_FALSE(restore(other));
}

TEST_P(RecordTest, AnInstanceIsRead) {
  const auto record = runtime::InstanceRecord::parse(text("instance.json"), "instance.json");
  ASSERT_TRUE(record) << record.error().text();
  EXPECT_EQ(record->name, "shop/web");
  EXPECT_EQ(record->kind, "host");
  EXPECT_GT(record->shim_pid, 0);
  const Json meta = *Json::parse(record->meta);
  EXPECT_EQ(meta["service"].as_string(), "web");
  // And by earlier servers what is written now.
  const Json now = *Json::parse(record->to_text());
  const Json before = *Json::parse(text("instance.json"));
  for (const auto& [key, value] : before.as_object()) EXPECT_EQ(now[key].dump(), value.dump());
}

TEST_P(RecordTest, TheRegistryIsReadAndADamagedOneSetAside) {
  std::string notice;
  ASSERT_TRUE(write_file_atomic(paths->projects_file(), text("projects.json")));
  auto registry = ProjectRegistry::load(paths->projects_file(), notice);
  ASSERT_TRUE(registry && notice.empty());
  EXPECT_EQ(registry->folder("shop"), "/home/me/shop");
  ASSERT_TRUE(write_file_atomic(paths->projects_file(),
                                R"({"projects":{"a":"/a","b":7},"later":1,"format":1})"));
  registry = ProjectRegistry::load(paths->projects_file(), notice);
  ASSERT_TRUE(registry);
  EXPECT_NE(notice.find(".corrupt-"), std::string::npos) << notice;
  EXPECT_EQ(registry->folder("a"), "/a");
  EXPECT_FALSE(registry->folder("b")) << "a damaged entry costs itself alone";
  for (const std::string damaged :
       {"", "{", "[]", "\xff\xff", R"({"format":1,"projects":-7})",
        R"({"format":1,"projects":{"shop":["/x"]}})", R"({"format":1,"projects":{"../x":"/x"}})"}) {
    ASSERT_TRUE(write_file_atomic(paths->projects_file(), damaged));
    notice.clear();
    registry = ProjectRegistry::load(paths->projects_file(), notice);
    ASSERT_TRUE(registry);
    EXPECT_NE(notice.find(".corrupt-"), std::string::npos) << damaged;
    EXPECT_FALSE(registry->folder("shop"));
    ASSERT_TRUE(registry->claim("shop", "/home/me/shop", true));  // as restored projects do
  }
  ASSERT_TRUE(remove_tree(paths->projects_file()));
  ASSERT_TRUE(make_dirs(paths->projects_file()));
  notice.clear();
  ASSERT_TRUE(ProjectRegistry::load(paths->projects_file(), notice));
  EXPECT_NE(notice.find(".corrupt-"), std::string::npos);
}

TEST(ProjectRegistry, KnowsInOrderWhatIsUpAlsoAfterABuildThatDoesNot) {
  char name[] = "/tmp/locald-registry-XXXXXX";
  const std::string dir = ::mkdtemp(name), file = dir + "/projects.json";
  std::string notice;
  // As the build before has written it.
  ASSERT_TRUE(write_file_atomic(
      file, R"({"format": 1, "projects": {"a": "/a", "b": "/b"}, "networks": {"a": "project"}})"));
  {
    auto registry = ProjectRegistry::load(file, notice);
    ASSERT_TRUE(registry) << registry.error().text();
    EXPECT_TRUE(registry->up().empty());
    ASSERT_TRUE(registry->set_up({"b", "/b/locald.toml", {"web"}}));
    ASSERT_TRUE(registry->set_up({"a", "/a/locald.toml", {"db", "web"}}));
    ASSERT_TRUE(registry->set_up({"b", "/b/locald.toml", {"db"}}));
    ASSERT_TRUE(registry->set_down("c"));
  }
  auto registry = ProjectRegistry::load(file, notice);
  ASSERT_TRUE(registry);
  const std::vector<ProjectRegistry::Up> expected{{"b", "/b/locald.toml", {"db"}},
                                                  {"a", "/a/locald.toml", {"db", "web"}}};
  EXPECT_EQ(registry->up(), expected);
  EXPECT_EQ(registry->folder("a"), "/a");
  // A later build may say more of it; what cannot be read costs its own entry.
  const Json document = *Json::parse(*read_file(file));
  Json up = document["up"];
  Json first = up.as_array()[0];
  first.set("later", 1);
  Json changed = document;
  changed.set("up", Json::array({first, "x", Json::object({{"name", "../x"}})}));
  ASSERT_TRUE(write_file_atomic(file, changed.dump()));
  registry = ProjectRegistry::load(file, notice);
  ASSERT_TRUE(registry);
  EXPECT_EQ(registry->up(), (std::vector<ProjectRegistry::Up>{expected[0]}));
  EXPECT_EQ(notice, "");
  ASSERT_TRUE(registry->forget("b"));
  EXPECT_TRUE(registry->up().empty());
  changed.set("up", 7);
  ASSERT_TRUE(write_file_atomic(file, changed.dump()));
  registry = ProjectRegistry::load(file, notice);
  ASSERT_TRUE(registry);
  EXPECT_TRUE(registry->up().empty());
  EXPECT_EQ(registry->folder("a"), "/a");
  (void)remove_tree(dir);
}

TEST_P(RecordTest, TheListOfContainersIsRead) {
  std::string notice;
  ASSERT_TRUE(write_file_atomic(home + "/containers.json", text("containers.json")));
  const auto doc = load_state_file(home + "/containers.json", 1, "containers", notice);
  ASSERT_TRUE(doc && notice.empty());
  int kept = 0;
  for (const auto& [id, entry] : (*doc)["containers"].as_object()) {
    EXPECT_EQ(id.size(), 12u);
    EXPECT_EQ(entry["nonce"].as_string().size(), 32u);
    kept += entry["name"].as_string() == "kept";
  }
  EXPECT_EQ(kept, 1);
}

INSTANTIATE_TEST_SUITE_P(Of, RecordTest, testing::ValuesIn(recorded()), [](const auto& of) {
  std::string name = std::filesystem::path(of.param).filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace locald::server
