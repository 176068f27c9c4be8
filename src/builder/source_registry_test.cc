#include "builder/source_registry.h"

#include <gtest/gtest.h>

namespace locald::builder {
namespace {

Paths nowhere() {
  return Paths::from_env(
             [](const std::string& name) {
               return name == "LOCALD_HOME" ? std::optional<std::string>("/nowhere") : std::nullopt;
             },
             1000)
      .value();
}

TEST(SourceRegistry, MakesEachKindItNames) {
  Environment environment({.paths = nowhere(), .server_binary = {}});
  SourceRequest image{.kind = "image",
                      .settings = {{"image", "redis:7"}},
                      .base_dir = "/p",
                      .options = {},
                      .container_key = "k"};
  EXPECT_TRUE(make_source(environment, image));
  SourceRequest rootfs{.kind = "rootfs",
                       .settings = {{"rootfs", "tree"}},
                       .base_dir = "/p",
                       .options = {},
                       .container_key = "k"};
  EXPECT_EQ(make_source(environment, rootfs).value()->fingerprint(), "rootfs:/p/tree");
}

TEST(SourceRegistry, SaysWhatIsMissingOrMisspelt) {
  Environment environment({.paths = nowhere(), .server_binary = {}});
  const auto kind = make_source(
      environment,
      {.kind = "imgae", .settings = {}, .base_dir = "/p", .options = {}, .container_key = "k"});
  EXPECT_EQ(kind.error().hint(), "did you mean \"image\"?");
  const auto empty = make_source(
      environment,
      {.kind = "image", .settings = {}, .base_dir = "/p", .options = {}, .container_key = "k"});
  EXPECT_EQ(empty.error().message(), "a service of kind \"image\" needs `image`");
  const auto policy = make_source(environment, {.kind = "image",
                                                .settings = {{"image", "x"}, {"pull", "often"}},
                                                .base_dir = "/p",
                                                .options = {},
                                                .container_key = "k"});
  EXPECT_EQ(policy.error().code(), Errc::invalid_input);
}

}  // namespace
}  // namespace locald::builder
