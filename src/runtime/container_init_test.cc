#include "runtime/container_init.h"

#include <gtest/gtest.h>

namespace locald::runtime {
namespace {

using Words = std::vector<std::string>;

oci::RuntimeSpec config_of(Words args) {
  oci::RuntimeSpec config;
  config.process.emplace().args = std::move(args);
  config.mounts = {{.destination = "/dev/init", .source = "/usr/libexec/locald/locald-shim"}};
  return config;
}

TEST(ContainerInit, IsReadBackFromTheWordsItWrites) {
  const ContainerInit all[] = {
      {},
      {.exec = true},
      {.map = ContainerInit::Ids{1001, 1000}},
      {.map = ContainerInit::Ids{4294967294, 0}, .seal = true, .exec = true},
  };
  for (const ContainerInit& init : all) {
    Words args = init.words();
    for (const char* word : {"cmd", "--map", "5:5", "--exec"}) args.emplace_back(word);
    EXPECT_EQ(ContainerInit::of(config_of(args)), init);
  }
  EXPECT_EQ((ContainerInit{.map = ContainerInit::Ids{1001, 1000}, .seal = true}.words()),
            (Words{"/dev/init", "--map", "1001:1000", "--seal", "--report", "--"}));
}

TEST(ContainerInit, IsNotSeenInACommandOfTheUsersOwn) {
  EXPECT_FALSE(ContainerInit::of(config_of({"sh", "/dev/init", "--map", "1:1", "--"})));
  EXPECT_FALSE(ContainerInit::of(config_of({})));
  oci::RuntimeSpec bare = config_of({"/dev/init", "--map", "1:1", "--", "sh"});
  bare.mounts.clear();
  EXPECT_FALSE(ContainerInit::of(bare));
  bare.process.reset();
  EXPECT_FALSE(ContainerInit::of(bare));
}

}  // namespace
}  // namespace locald::runtime
