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

/// In the words of 0.1.0, whose server may come after this one.
TEST(InstanceMeta, KeepsItsWords) {
  const auto text = [](InstanceMeta meta) { return meta.to_text(); };
  EXPECT_EQ(text({.kind = Kind::service, .project = "p", .service = "s", .life = 3, .restarts = 1}),
            R"({"project":"p","service":"s","life":3,"restarts":1})");
  EXPECT_EQ(text({.kind = Kind::exec, .project = "p", .service = "s"}),
            R"({"exec":true,"project":"p","service":"s"})");
  EXPECT_EQ(
      text({.kind = Kind::container, .name = "n", .image = "i", .rm = true, .writable = {"/a"}}),
      R"({"container":true,"image":"i","rm":true,"name":"n","writable":["/a"]})");
  EXPECT_EQ(text({.kind = Kind::build, .app = "a"}), R"({"build":"a"})");
}

TEST(InstanceMeta, ThatIsDamagedIsUnknown) {
  for (const char* text : {"", "{", "[]", "7", R"({"project":3})", "\x7f"})
    EXPECT_EQ(InstanceMeta::from_text(text), InstanceMeta()) << text;
}

}  // namespace
}  // namespace locald::runtime
