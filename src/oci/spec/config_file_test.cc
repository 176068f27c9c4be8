#include "oci/spec/config_file.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

constexpr const char* kCreated = "1980-01-01T00:00:01Z";

ConfigFile parse(const std::string& text) {
  auto file = ConfigFile::parse(*Json::parse(text, {.reject_duplicates = false}));
  EXPECT_TRUE(file) << file.error().text();
  return *file;
}

std::string written_again(const std::string& text) { return parse(text).write(kCreated); }

const std::string kId = "sha256:" + std::string(64, '1'), kOther = "sha256:" + std::string(64, '2');

std::string image(const std::string& members, const std::string& config = "{}",
                  const std::string& ids = "\"" + kId + "\"") {
  return R"({"architecture":"amd64",)" + members +
         R"("os":"linux","rootfs":{"type":"layers","diff_ids":[)" + ids + R"(]},"config":)" +
         config + "}";
}

// What stands on the right is what go-containerregistry 0.21.9 made of the left.

TEST(ConfigFile, WritesMembersInTheirOrderAndDropsUnknownOnes) {
  EXPECT_EQ(
      written_again(image(
          R"("moby.buildkit.buildinfo.v1":"x","container":"c","container_config":{"Cmd":["a"]},)"
          R"("variant":"v8","os.version":"1","os.features":["f"],"author":"me",)"
          R"("docker_version":"20","created":"2020-02-02T02:02:02.123456789+02:00",)")),
      R"({"architecture":"amd64","author":"me","created":"1980-01-01T00:00:01Z","docker_version":"20",)"
      R"("history":[{"created":"1980-01-01T00:00:01Z"}],"os":"linux","rootfs":{"type":"layers","diff_ids":[")" +
          kId + R"("]},"config":{},"os.version":"1","variant":"v8","os.features":["f"]})");
}

TEST(ConfigFile, LeavesOutWhatIsEmpty) {
  EXPECT_EQ(
      written_again(
          image("", R"({"Env":[],"Cmd":null,"Labels":{},"User":"","Tty":false,"Volumes":{},
                               "ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["CMD","x"],"Interval":5,"Retries":0},
                               "StopSignal":"SIGINT","Shell":["sh"],"Entrypoint":["<a>"],"AttachStdin":true})")),
      image(
          R"("created":"1980-01-01T00:00:01Z","history":[{"created":"1980-01-01T00:00:01Z"}],)",
          R"({"AttachStdin":true,"Healthcheck":{"Test":["CMD","x"],"Interval":5},"Entrypoint":["\u003ca\u003e"],)"
          R"("ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGINT","Shell":["sh"]})"));
}

TEST(ConfigFile, ReadsMembersInAnyCase) {
  EXPECT_EQ(parse(image("", R"({"env":["A=1"],"WORKINGDIR":"/w"})")).env[0], "A=1");
  EXPECT_EQ(parse(image("", R"({"env":["A=1"],"Env":["B=2"]})")).env[0], "B=2");
}

TEST(ConfigFile, AHistoryThatFitsIsKeptWithoutEmptyLayers) {
  const std::string ids = "\"" + kId + "\",\"" + kOther + "\"";
  EXPECT_EQ(
      written_again(image(
          R"("history":[{"created":"2020-01-01T00:00:00Z","created_by":"one","comment":"c","author":"a"},
                           {"created_by":"env","empty_layer":true},{"created_by":"two"}],)",
          "{}", ids)),
      image(
          R"("created":"1980-01-01T00:00:01Z","history":[{"author":"a","created":"1980-01-01T00:00:01Z",)"
          R"("created_by":"one","comment":"c"},{"created":"1980-01-01T00:00:01Z","created_by":"two"}],)",
          "{}", ids));
  // One that does not is worth nothing.
  EXPECT_EQ(
      written_again(image(R"("history":[{"created_by":"one"}],)", "{}", ids)),
      image(
          R"("created":"1980-01-01T00:00:01Z","history":[{"created":"1980-01-01T00:00:01Z"},{"created":"1980-01-01T00:00:01Z"}],)",
          "{}", ids));
}

TEST(ConfigFile, AddsLayersWithTheirHistory) {
  ConfigFile file = parse(image(""));
  file.add_layer(kOther, "me & you");
  EXPECT_EQ(
      file.write(kCreated),
      image(R"("created":"1980-01-01T00:00:01Z","history":[{"created":"1980-01-01T00:00:01Z"},)"
            R"({"created":"1980-01-01T00:00:01Z","created_by":"me \u0026 you"}],)",
            "{}", "\"" + kId + "\",\"" + kOther + "\""));
}

TEST(ConfigFile, VariablesAreReadAndSetAsImgutilDoes) {
  ConfigFile file = parse(image("", R"({"Env":["A=1","PATH=/a:/b","B=x=y","A=2","NOVALUE"]})"));
  EXPECT_EQ(file.variable("PATH"), "/a:/b");
  EXPECT_EQ(file.variable("B"), "");  // for its second "="
  EXPECT_EQ(file.variable("A"), "1");
  file.set_variable("A", "3");
  file.set_variable("B", "4");
  file.set_variable("NOVALUE", "5");
  file.set_variable("NEW", "6");
  EXPECT_EQ(file.env,
            (std::vector<std::string>{"A=3", "PATH=/a:/b", "B=4", "A=2", "NOVALUE=5", "NEW=6"}));
}

TEST(ConfigFile, ARebaseTakesLayersAndPlatformOfTheNewBase) {
  ConfigFile app =
      parse(image(R"("variant":"v8","author":"me",)", R"({"Env":["OLD=1"],"User":"u"})"));
  app.add_layer(kOther, "app");
  const std::string base_id = "sha256:" + std::string(64, '3');
  ConfigFile base =
      parse(image(R"("os.version":"9",)", R"({"Env":["NEW=1"]})", "\"" + base_id + "\""));
  base.add_layer("sha256:" + std::string(64, '4'), "base");
  const auto rebased = app.rebased(kId, base);
  ASSERT_TRUE(rebased) << rebased.error().text();
  EXPECT_EQ(
      rebased->write(kCreated),
      R"({"architecture":"amd64","created":"1980-01-01T00:00:01Z","history":[{"created":"1980-01-01T00:00:01Z"},)"
      R"({"created":"1980-01-01T00:00:01Z"},{"created":"1980-01-01T00:00:01Z"}],"os":"linux",)"
      R"("rootfs":{"type":"layers","diff_ids":[")" +
          base_id + "\",\"sha256:" + std::string(64, '4') + "\",\"" + kOther +
          R"("]},"config":{"Env":["OLD=1"],"User":"u"},"os.version":"9"})");
  EXPECT_EQ(app.rebased(base_id, base).error().code(), Errc::invalid_input);
  base.history.resize(3);
  EXPECT_EQ(app.rebased(kId, base).error().code(), Errc::invalid_input);
}

TEST(ConfigFile, RefusesWrongTypes) {
  for (const std::string& text :
       {std::string("[]"), std::string("{}"), image(R"("author":7,)"), image(R"("history":{},)"),
        image(R"("history":[7],)"), image("", "7"), image("", R"({"Env":[7]})"),
        image("", R"({"Labels":{"a":1}})"), image("", R"({"Tty":"yes"})"),
        image("", R"({"Healthcheck":{"Interval":"1s"}})"), image("", "{}", "7")})
    EXPECT_FALSE(ConfigFile::parse(*Json::parse(text))) << text;
}

}  // namespace
}  // namespace locald::oci
