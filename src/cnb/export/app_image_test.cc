#include "cnb/export/app_image.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cnb/export/image_rebase.h"

namespace locald::cnb {
namespace {

Generation sample() {
  Generation g;
  g.number = 7;
  g.root = 5;
  g.uid = 1001;
  g.gid = 1000;
  g.builder_digest = "sha256:b";
  g.platform_api = "0.15";
  g.run_image = "registry.example/run:1";
  g.run_image_digest = "sha256:r";
  g.run_mirrors = {"mirror.example/run"};
  g.base_config = Json::object(
      {{"architecture", "amd64"},
       {"os", "linux"},
       {"config", Json::object({{"Env", Json::array({"PATH=/bin", "A=1"})},
                                {"Cmd", Json::array({"sh"})},
                                {"Labels", Json::object({{"base", "yes"}})},
                                {"User", "1002:1000"}})},
       {"rootfs", Json::object({{"type", "layers"}, {"diff_ids", Json::array({"sha256:top"})}})}});
  g.buildpacks.push_back(
      {.id = "a/<one>",
       .version = "1.0",
       .homepage = "https://example.com/?a&b",
       .layers = {{.name = "b",
                   .launch = true,
                   .data = Json::object({{"z", 1}, {"a", 1.5}}),
                   .tree = "t1"},
                  {.name = "cache", .cache = true, .tree = "t2"},
                  {.name = "d", .launch = true, .build = true, .cache = true, .tree = "t3"}},
       .store = {},
       .has_store = true});
  g.buildpacks.push_back({.id = "two", .version = "2"});
  g.processes = {{.type = "web",
                  .command = {"sh", "-c"},
                  .args = {"x & y"},
                  .has_args = true,
                  .direct = false,
                  .buildpack_id = "two",
                  .working_dir = "/w",
                  .exec_env = {"test"}},
                 {.type = "worker", .command = {}, .has_args = false, .buildpack_id = "two"}};
  g.default_process = "web";
  g.labels = {{"label", "<value>"}};
  g.launch_sbom = true;
  return g;
}

/// "sha256:0", "sha256:1", … for each layer.
std::vector<std::string> ids(const Generation& g) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < app_layers(g).size(); ++i)
    out.push_back("sha256:" + std::to_string(i));
  return out;
}

TEST(AppImage, LayersComeInTheExportersOrder) {
  Generation g = sample();
  std::vector<std::string> names, keys;
  for (const AppLayer& layer : app_layers(g)) {
    names.push_back(layer.created_by);
    keys.push_back(layer.key);
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"Layer: 'b', Created by buildpack: a/<one>@1.0",
                                      "Layer: 'd', Created by buildpack: a/<one>@1.0",
                                      "Software Bill-of-Materials", "Application Layer",
                                      "Buildpacks Application Launcher",
                                      "Buildpacks Launcher Config", "Buildpacks Process Types"}));
  EXPECT_EQ(keys,
            (std::vector<std::string>{"t/t1@1001:1000", "t/t3@1001:1000", "g/5/sbom@1001:1000",
                                      "g/5/app/0@1001:1000", "launcher/sha256:b",
                                      "g/5/config@1001:1000", "g/5/process-types"}));
  EXPECT_EQ(app_layers(g)[0].buildpack, "a_<one>");
  g.slices = {{"x"}, {}};
  g.launch_sbom = false;
  g.processes.clear();
  names.clear();
  for (const AppLayer& layer : app_layers(g)) names.push_back(layer.created_by);
  EXPECT_EQ(names, (std::vector<std::string>{
                       "Layer: 'b', Created by buildpack: a/<one>@1.0",
                       "Layer: 'd', Created by buildpack: a/<one>@1.0", "Application Slice: 1",
                       "Application Slice: 2", "Application Slice: 3",
                       "Buildpacks Application Launcher", "Buildpacks Launcher Config"}));
}

TEST(AppImage, TheLifecyclesLabelIsThatOfGosStructs) {
  EXPECT_EQ(
      lifecycle_label(sample(), ids(sample()), "sha256:top", "registry.example/run@sha256:r"),
      R"({"app":[{"sha":"sha256:3"}],"sbom":{"sha":"sha256:2"},"buildpacks":[{"key":"a/\u003cone\u003e","version":"1.0",)"
      R"("layers":{"b":{"sha":"sha256:0","data":{"a":1.5,"z":1},"build":false,"launch":true,"cache":false},)"
      R"("d":{"sha":"sha256:1","data":null,"build":true,"launch":true,"cache":true}},"store":{"metadata":null}},)"
      R"({"key":"two","version":"2","layers":{}}],"config":{"sha":"sha256:5"},"launcher":{"sha":"sha256:4"},)"
      R"("process-types":{"sha":"sha256:6"},"runImage":{"topLayer":"sha256:top","reference":"registry.example/run@sha256:r",)"
      R"("image":"registry.example/run:1","mirrors":["mirror.example/run"]},)"
      R"("stack":{"runImage":{"image":"registry.example/run:1","mirrors":["mirror.example/run"]}}})");
  Generation g = sample();
  g.processes.clear();
  g.launch_sbom = false;
  g.slices = {{"x"}};
  const std::string label = lifecycle_label(g, ids(g), "", "");
  EXPECT_NE(label.find(R"({"app":[{"sha":"sha256:2"},{"sha":"sha256:3"}],"buildpacks")"),
            std::string::npos)
      << label;
  EXPECT_NE(label.find(R"("process-types":{"sha":""})"), std::string::npos) << label;
}

TEST(AppImage, TheBuildLabelIsThatOfGosStructs) {
  EXPECT_EQ(
      build_label(sample(), {.version = "0.21.14", .repository = "github.com/x", .commit = "abc"}),
      R"({"buildpacks":[{"id":"a/\u003cone\u003e","version":"1.0","homepage":"https://example.com/?a\u0026b"},)"
      R"({"id":"two","version":"2"}],"launcher":{"version":"0.21.14","source":{"git":{"repository":"github.com/x",)"
      R"("commit":"abc"}}},"processes":[{"type":"web","command":["sh","-c"],"args":["x \u0026 y"],"direct":false,)"
      R"("buildpackID":"two","working-dir":"/w","exec-env":["test"]},{"type":"worker","command":[],"args":null,)"
      R"("direct":true,"buildpackID":"two"}],"buildpack-default-process-type":"web"})");
  Generation g = sample();
  g.processes.clear();
  g.default_process.clear();
  EXPECT_TRUE(build_label(g, {}).ends_with(R"("commit":""}}},"processes":[]})"))
      << build_label(g, {});
}

TEST(AppImage, TheProjectLabelLeavesOutWhatIsEmpty) {
  EXPECT_EQ(project_label(Json()), "{}");
  EXPECT_EQ(project_label(Json::object()), R"({"source":{}})");
  EXPECT_EQ(project_label(Json::object({{"metadata", Json::object({{"b", 2}, {"a", "<"}})},
                                        {"version", Json::object()},
                                        {"type", "git"},
                                        {"other", 1}})),
            R"({"source":{"type":"git","metadata":{"a":"\u003c","b":2}}})");
}

TEST(AppImage, TheConfigurationStandsOnTheRunImages) {
  const auto document = app_config_document(sample(), ids(sample()), {});
  ASSERT_TRUE(document) << document.error().text();
  const Json config = *Json::parse(*document);
  EXPECT_EQ(config["created"].as_string(), "1980-01-01T00:00:01Z");
  EXPECT_EQ(config["rootfs"]["diff_ids"].as_array().size(), 8u);
  EXPECT_EQ(config["history"].as_array().size(), 8u);
  EXPECT_EQ(config["history"].as_array()[7]["created_by"].as_string(), "Buildpacks Process Types");
  EXPECT_EQ(config["config"]["Env"].as_strings(),
            (std::vector<std::string>{"PATH=/cnb/process:/cnb/lifecycle:/bin", "A=1",
                                      "CNB_LAYERS_DIR=/layers", "CNB_APP_DIR=/workspace",
                                      "CNB_PLATFORM_API=0.15", "CNB_DEPRECATION_MODE=quiet"}));
  EXPECT_EQ(config["config"]["Entrypoint"].as_strings(),
            std::vector<std::string>{"/cnb/process/web"});
  EXPECT_TRUE(config["config"]["Cmd"].is_null());
  EXPECT_EQ(config["config"]["User"].as_string(), "1002:1000");
  EXPECT_EQ(config["config"]["WorkingDir"].as_string(), "/workspace");
  const Json& labels = config["config"]["Labels"];
  EXPECT_EQ(labels["label"].as_string(), "<value>");
  EXPECT_EQ(labels["base"].as_string(), "yes");
  EXPECT_EQ(labels["io.buildpacks.exec-env"].as_string(), "production");
  EXPECT_EQ(labels["io.buildpacks.project.metadata"].as_string(), "{}");

  Generation older = sample();
  older.platform_api = "0.14";
  older.exec_env = "test";
  older.default_process.clear();
  const Json plain = *Json::parse(*app_config_document(older, ids(older), {}));
  EXPECT_TRUE(plain["config"]["Labels"]["io.buildpacks.exec-env"].is_null());
  EXPECT_EQ(plain["config"]["Entrypoint"].as_strings(),
            std::vector<std::string>{"/cnb/lifecycle/launcher"});
}

TEST(AppImage, ARunImageWithoutLayersIsRefused) {
  Generation g = sample();
  g.base_config.set("rootfs", Json::object({{"type", "layers"}, {"diff_ids", Json::array()}}));
  EXPECT_EQ(app_config_document(g, ids(g), {}).error().code(), Errc::invalid_input);
}

// ---- rebase

oci::ConfigFile file(const std::string& text) {
  return *oci::ConfigFile::parse(*Json::parse(text));
}

/// An app's image, or a run image, with these labels.
oci::ConfigFile image(const std::string& top, const Json& labels, const std::string& api = "0.12",
                      const std::string& architecture = "amd64") {
  Json config =
      Json::object({{"Env", Json::array({"CNB_PLATFORM_API=" + api})}, {"Labels", labels}});
  return file(
      Json::object({{"architecture", architecture},
                    {"os", "linux"},
                    {"config", std::move(config)},
                    {"rootfs", Json::object({{"type", "layers"},
                                             {"diff_ids", Json::array({top, "sha256:app"})}})}})
          .dump());
}

Json labels_of(const std::string& run_image, std::initializer_list<Json::Member> more = {}) {
  Json labels =
      Json::object({{"io.buildpacks.lifecycle.metadata",
                     R"({"runImage":{"topLayer":"sha256:old","reference":"x","image":")" +
                         run_image + R"("},"app":[{"sha":"a"}],"buildpacks":null,"unknown":1})"}});
  for (const auto& [key, value] : more) labels.set(key, value);
  return labels;
}

TEST(RebasedConfig, TakesOverLabelsOfTheBaseAndOfNothingElse) {
  const auto app =
      image("sha256:old", labels_of("r.example/run", {{"io.buildpacks.base.name", "old"},
                                                      {"io.buildpacks.stack.gone", "1"},
                                                      {"mine", "kept"}}));
  const auto run = image("sha256:new",
                         Json::object({{"io.buildpacks.base.name", "new"}, {"other", "not this"}}));
  std::vector<std::string> notices;
  const auto rebased =
      rebased_config(app, run, "r.example/run:latest", "r.example/run@sha256:1", false, notices);
  ASSERT_TRUE(rebased) << rebased.error().text();
  EXPECT_EQ(rebased->diff_ids,
            (std::vector<std::string>{"sha256:new", "sha256:app", "sha256:app"}));
  EXPECT_EQ(
      rebased->labels,
      (std::map<std::string, std::string>{
          {"io.buildpacks.base.name", "new"},
          {"mine", "kept"},
          {"io.buildpacks.lifecycle.metadata",
           R"({"app":[{"sha":"a"}],"buildpacks":null,"config":{"sha":""},"launcher":{"sha":""},"process-types":{"sha":""},)"
           R"("runImage":{"topLayer":"sha256:app","reference":"r.example/run@sha256:1","image":"r.example/run"}})"}}));
  EXPECT_TRUE(notices.empty());
}

TEST(RebasedConfig, WhatTheRulesForbidWantsForce) {
  const auto plain = image("sha256:new", Json::object());
  const struct {
    oci::ConfigFile app, run;
    const char* words;
  } cases[] = {
      {image("sha256:old", labels_of("r.example/run", {{"io.buildpacks.rebasable", "false"}})),
       plain, "labelled as not rebasable"},
      {image("sha256:old", labels_of("r.example/run")),
       image("sha256:new", Json::object(), "0.12", "arm64"), "linux/arm64"},
      {image("sha256:old",
             labels_of("r.example/run", {{"io.buildpacks.base.distro.name", "debian"}})),
       image("sha256:new", Json::object({{"io.buildpacks.base.distro.name", "ubuntu"}})), "ubuntu"},
      {image("sha256:old", labels_of("r.example/run")),
       image("sha256:new", Json::object({{"io.buildpacks.base.distro.version", "12"}})), "12"},
      {image("sha256:old", labels_of("r.example/another")), plain, "none of its names"}};
  for (const auto& c : cases) {
    std::vector<std::string> notices;
    const auto refused = rebased_config(c.app, c.run, "r.example/run", "x", false, notices);
    ASSERT_FALSE(refused) << c.words;
    EXPECT_EQ(refused.error().code(), Errc::unsupported);
    EXPECT_NE(refused.error().message().find(c.words), std::string::npos) << refused.error().text();
    const auto forced = rebased_config(c.app, c.run, "r.example/run", "x", true, notices);
    ASSERT_TRUE(forced) << forced.error().text();
    ASSERT_EQ(notices.size(), 1u);
    EXPECT_NE(notices[0].find(c.words), std::string::npos) << notices[0];
  }
}

TEST(RebasedConfig, AnAppOfAnOlderApiMustFitItsStack) {
  const auto app =
      image("sha256:old",
            labels_of("r.example/run", {{"io.buildpacks.stack.id", "s"},
                                        {"io.buildpacks.stack.mixins", R"(["run:git","curl"])"}}),
            "0.11");
  std::vector<std::string> notices;
  const auto fits = [&](const Json& labels) {
    return rebased_config(app, image("sha256:new", labels), "r.example/run", "x", true, notices)
        .has_value();
  };
  EXPECT_TRUE(fits(Json::object({{"io.buildpacks.stack.id", "s"},
                                 {"io.buildpacks.stack.mixins", R"(["git","curl","more"])"}})));
  EXPECT_FALSE(fits(Json::object(
      {{"io.buildpacks.stack.id", "s"}, {"io.buildpacks.stack.mixins", R"(["git"])"}})));
  EXPECT_FALSE(fits(Json::object({{"io.buildpacks.stack.id", "other"}})));
}

TEST(RebasedConfig, AnImageOfNoBuildpacksIsRefused) {
  std::vector<std::string> notices;
  const auto run = image("sha256:new", Json::object());
  EXPECT_EQ(rebased_config(image("sha256:old", Json::object()), run, "r", "x", true, notices)
                .error()
                .code(),
            Errc::invalid_input);
  EXPECT_EQ(rebased_config(image("sha256:other", labels_of("r.example/run")), run, "r.example/run",
                           "x", true, notices)
                .error()
                .code(),
            Errc::invalid_input);
}

TEST(LifecycleLabel, LosesWhatTheRebaserDoesNotKnowAndThePrecisionThatItDoesNotHave) {
  const auto label = Json::parse(
      R"({"stack":{"runImage":{"image":"i","mirrors":[],"x":1}},"runImage":{"image":"i","mirrors":["m"]},"extra":{},)"
      R"("sbom":{"sha":"s"},"app":null,"buildpacks":[{"version":"1","key":"k","layers":{"b":{"sha":"1","data":{"n":9007199254740993,"a":[1,2.5]}},"a":{"launch":true}},)"
      R"("store":{"metadata":{"count":3}}},{"key":"none","layers":null}]})");
  EXPECT_EQ(
      normalized_lifecycle_label(*label),
      R"({"app":null,"sbom":{"sha":"s"},"buildpacks":[{"key":"k","version":"1","layers":{"a":{"sha":"","data":null,"build":false,"launch":true,"cache":false},)"
      R"("b":{"sha":"1","data":{"a":[1,2.5],"n":9007199254740992},"build":false,"launch":false,"cache":false}},"store":{"metadata":{"count":3}}},)"
      R"({"key":"none","version":"","layers":null}],"config":{"sha":""},"launcher":{"sha":""},"process-types":{"sha":""},)"
      R"("runImage":{"topLayer":"","reference":"","image":"i","mirrors":["m"]},"stack":{"runImage":{"image":"i"}}})");
}

}  // namespace
}  // namespace locald::cnb
