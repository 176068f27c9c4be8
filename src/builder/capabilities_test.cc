#include "builder/capabilities.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace locald::builder {
namespace {

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

TEST(Capabilities, AreDockersFourteen) {
  const auto caps = container_capabilities({}, {}, 0).value();
  auto names = caps.bounding;
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names,
            (std::vector<std::string>{
                "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
                "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP",
                "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"}));
  EXPECT_EQ(caps.effective, caps.bounding);
  EXPECT_EQ(caps.permitted, caps.bounding);
  EXPECT_FALSE(has(caps.bounding, "CAP_SYS_ADMIN"));
  EXPECT_TRUE(caps.inheritable.empty());
  EXPECT_TRUE(caps.ambient.empty());
}

TEST(Capabilities, OnlyBoundWhoIsNotRoot) {
  const auto caps = container_capabilities({}, {}, 999).value();
  EXPECT_EQ(caps.bounding.size(), 14u);
  EXPECT_TRUE(caps.effective.empty());
  EXPECT_TRUE(caps.permitted.empty());
}

TEST(Capabilities, AreAddedAndDroppedByEitherSpelling) {
  const auto caps = container_capabilities({"net_admin", "CAP_SYS_TIME"}, {"ALL"}, 0).value();
  EXPECT_EQ(caps.bounding, (std::vector<std::string>{"CAP_NET_ADMIN", "CAP_SYS_TIME"}));
  EXPECT_EQ(container_capabilities({"ALL"}, {}, 0).value().bounding.size(), 41u);
  const auto wrong = container_capabilities({"NET_ADMN"}, {}, 0);
  EXPECT_EQ(wrong.error().code(), Errc::invalid_input);
  EXPECT_EQ(wrong.error().hint(), "did you mean \"NET_ADMIN\"?");
}

}  // namespace
}  // namespace locald::builder
