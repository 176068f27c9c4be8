#include "server/networks/network_registry.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/sys/fs_at.h"

namespace locald::server {
namespace {

TEST(NetworkRegistry, WhatAnotherRecordRemembersIsNotWrittenDown) {
  char name[] = "/tmp/locald-networks-XXXXXX";
  const std::string dir = ::mkdtemp(name), file = dir + "/networks.json";
  std::string notice;
  auto registry = *NetworkRegistry::load(file, notice);
  EXPECT_EQ(registry.keep_for_now("container.1", "10.99.0.0/16"), "10.99.0.0/16");
  const auto numbers = registry.assigned("container.1", {"default"}, {"box"}, /*fresh=*/true);
  EXPECT_EQ(numbers.range, "10.99.0.0/16") << "of one that runs it is not exchanged";
  EXPECT_TRUE(registry.set("container.1", numbers));
  EXPECT_FALSE(exists(file));
  EXPECT_TRUE(registry.set("shop", registry.assigned("shop", {"default"}, {"web"}, true)));
  const std::string text = read_file(file).value();
  EXPECT_NE(text.find("shop"), std::string::npos);
  EXPECT_EQ(text.find("container.1"), std::string::npos) << text;
  EXPECT_TRUE(registry.forget("container.1"));
  EXPECT_EQ(read_file(file).value(), text);
  EXPECT_EQ(registry.keep_for_now("container.2", "").substr(0, 3), "10.");
  EXPECT_EQ(notice, "");
  (void)remove_tree(dir);
}

}  // namespace
}  // namespace locald::server
