#include "oci/spec/image_config.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

constexpr const char* kRootfs =
    R"("rootfs":{"type":"layers","diff_ids":["sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]})";

TEST(ImageConfig, ReadsEveryField) {
  auto config = ImageConfig::parse(
      std::string(
          R"({"created":"2024-01-02T03:04:05Z","author":"a","architecture":"amd64","os":"linux",
    "config":{"User":"redis:redis","ExposedPorts":{"6379/tcp":{},"53/udp":{}},"Env":["PATH=/bin","A=b=c"],"Entrypoint":["docker-entrypoint.sh"],
    "Cmd":["redis-server"],"Volumes":{"/data":{}},"WorkingDir":"/data","Labels":{"a":"1","A":"2"},"StopSignal":"SIGQUIT","ArgsEscaped":true},
    "history":[{"created_by":"ADD x","empty_layer":true},{"comment":"c"}],)") +
      kRootfs + "}");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->platform.str(), "linux/amd64");
  EXPECT_EQ(config->user, "redis:redis");
  EXPECT_EQ(config->exposed_ports, (std::vector<std::string>{"53/udp", "6379/tcp"}));
  EXPECT_EQ(config->env, (std::vector<std::string>{"PATH=/bin", "A=b=c"}));
  EXPECT_EQ(config->entrypoint, std::vector<std::string>{"docker-entrypoint.sh"});
  EXPECT_EQ(config->cmd, std::vector<std::string>{"redis-server"});
  EXPECT_EQ(config->volumes, std::vector<std::string>{"/data"});
  EXPECT_EQ(config->working_dir, "/data");
  EXPECT_EQ(config->labels.at("A"), "2");
  EXPECT_EQ(config->stop_signal, "SIGQUIT");
  EXPECT_EQ(config->diff_ids.size(), 1u);
  EXPECT_TRUE(config->history.at(0).empty_layer);

  auto again = ImageConfig::parse(config->to_json().dump());
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->to_json(), config->to_json());
}

TEST(ImageConfig, NullsAndAbsentFieldsAreEmpty) {
  auto config = ImageConfig::parse(
      std::string(
          R"({"architecture":"amd64","os":"linux","config":{"Entrypoint":null,"Cmd":null,"Volumes":null,"Labels":null},"history":null,)") +
      kRootfs + "}");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_TRUE(config->entrypoint.empty());
  EXPECT_TRUE(ImageConfig::parse(std::string("{") + kRootfs + "}"));
}

TEST(ImageConfig, RefusesWhatCannotBeAnImage) {
  const std::string rootfs = kRootfs;
  for (const std::string& text : std::vector<std::string>{
           "", "{}", "[]", R"({"rootfs":{"type":"layers","diff_ids":["sha256:x"]}})",
           R"({"rootfs":{"type":"squash","diff_ids":[]}})", R"({"config":[],)" + rootfs + "}",
           R"({"config":{"Env":"A=b"},)" + rootfs + "}", R"({"config":{"Env":[1]},)" + rootfs + "}",
           R"({"config":{"User":5},)" + rootfs + "}",
           R"({"config":{"Volumes":["/a"]},)" + rootfs + "}",
           R"({"config":{"Cmd":["a\u0000b"]},)" + rootfs + "}",
           R"({"config":{"user":"a","User":"b"},)" + rootfs + "}"})
    EXPECT_FALSE(ImageConfig::parse(text)) << text;
}

}  // namespace
}  // namespace locald::oci
