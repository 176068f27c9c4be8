#include "project/docker_health.h"

#include <gtest/gtest.h>

namespace locald::project {
namespace {

using namespace std::chrono_literals;

TEST(DockerHealth, TakesDockersDefaultsAndNothingElse) {
  const HealthSpec spec = health_spec({.test = {"CMD-SHELL", "a | b"}});
  EXPECT_EQ(spec.kind, HealthSpec::Kind::exec);
  EXPECT_TRUE(spec.command.shell);
  EXPECT_EQ(spec.interval, 30s);
  EXPECT_EQ(spec.timeout, 30s);
  EXPECT_EQ(spec.retries, 3);
  for (const std::vector<std::string>& none :
       {std::vector<std::string>{}, {"NONE"}, {"CMD"}, {"what", "ever"}})
    EXPECT_EQ(health_spec({.test = none}).kind, HealthSpec::Kind::none);
}

TEST(DockerHealth, AFileMayChangeTheTimesOfAnImagesCheck) {
  const DockerHealth image{.test = {"CMD", "$x"}, .interval = 7s, .timeout = 2s, .retries = 4};
  ImageHealthSpec wanted{.wanted = true, .interval = 3s, .at = {5, 1}};
  const HealthSpec spec = health_spec(image, wanted);
  EXPECT_EQ(spec.interval, 3s);
  EXPECT_EQ(spec.timeout, 2s);
  EXPECT_EQ(spec.retries, 4);
  EXPECT_EQ(spec.at.line, 5u);
  EXPECT_EQ(spec.command.words[0].raw, "$$x");
}

}  // namespace
}  // namespace locald::project
