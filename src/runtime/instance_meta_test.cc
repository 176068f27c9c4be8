#include "runtime/instance_meta.h"

#include <gtest/gtest.h>

namespace locald::runtime {
namespace {

using Kind = InstanceMeta::Kind;

TEST(InstanceMeta, IsWhatItWasWritten) {
  const InstanceMeta all[] = {
      {},
      {.kind = Kind::service, .project = "shop", .service = "web", .life = 7, .restarts = 2},
      {.kind = Kind::exec, .project = "shop", .service = "web"},
      {.kind = Kind::container, .name = "n", .image = "redis:7", .rm = true, .writable = {"/a"}},
      {.kind = Kind::build, .app = "shop.web"},
  };
  for (const InstanceMeta& meta : all) EXPECT_EQ(InstanceMeta::from_text(meta.to_text()), meta);
}

TEST(InstanceMeta, OfThePreviousVersionIsRead) {
  const InstanceMeta service = InstanceMeta::from_text(
      R"({"project":"shop","service":"web","life":3,"restarts":1,"later":true})");
  EXPECT_EQ(
      service,
      (InstanceMeta{
          .kind = Kind::service, .project = "shop", .service = "web", .life = 3, .restarts = 1}));
  EXPECT_EQ(InstanceMeta::from_text(R"({"container":true,"image":"redis:7"})").kind,
            Kind::container);
}

TEST(InstanceMeta, ThatIsDamagedIsUnknown) {
  for (const char* text : {"", "{", "[]", "7", R"({"project":3})", "\x7f"})
    EXPECT_EQ(InstanceMeta::from_text(text), InstanceMeta()) << text;
}

}  // namespace
}  // namespace locald::runtime
