#include "cnb/inputs/buildpack_uri.h"

#include <gtest/gtest.h>

namespace locald::cnb {
namespace {

/// KIND and what it holds, or the error.
std::string read(std::string_view text) {
  const auto uri = parse_buildpack_uri(text, "/p");
  if (!uri) return "error: " + uri.error().message();
  if (const auto* u = std::get_if<LocalPath>(&*uri)) return "path " + u->path;
  if (const auto* u = std::get_if<ImageName>(&*uri)) return "image " + u->reference.name();
  if (const auto* u = std::get_if<RemoteArchive>(&*uri)) return "url " + u->url.str();
  if (const auto* u = std::get_if<RegistryId>(&*uri))
    return "registry " + u->name_space + " " + u->name + " " + u->version;
  if (const auto* u = std::get_if<BuilderModule>(&*uri))
    return "builder " + u->id + " " + u->version;
  if (std::holds_alternative<BuilderOrder>(*uri)) return "order";
  return "bare " + std::get<BareName>(*uri).text;
}

TEST(BuildpackUri, KnowsPathsByTheirLook) {
  for (const char* path : {"./bp", "../bp", ".", "..", "/opt/bp", "bp.cnb", "dir/bp.tgz",
                           "bp.tar.gz", "bp.tar", "./with space", "/opt/caf\u00e9"})
    EXPECT_EQ(read(path), std::string("path ") + path);
  EXPECT_EQ(read("file:///opt/a%20b.tgz"), "path /opt/a b.tgz");
  EXPECT_EQ(read("file:/opt/a"), "path /opt/a");
  EXPECT_EQ(read("file://localhost/opt/a"), "path /opt/a");
  EXPECT_EQ(read("file://elsewhere/opt/a"),
            "error: \"file://elsewhere/opt/a\" names a file of another host");
  EXPECT_EQ(read("file:opt/a"), "error: \"file:opt/a\" is not an absolute path");
  for (const char* url : {"file:///a%", "file:///a%2", "file:///a%zz", "file:///a%00"})
    EXPECT_TRUE(read(url).starts_with("error: ")) << url;
}

TEST(BuildpackUri, KnowsImages) {
  EXPECT_EQ(read("docker://example.com/bp:1"), "image example.com/bp:1");
  EXPECT_EQ(read("docker:///a/b"), "image docker.io/a/b:latest");
  EXPECT_EQ(read("docker:/a/b"), "image docker.io/a/b:latest");
  EXPECT_EQ(read("oci:./layout:x"), "image oci:/p/layout:x");
  EXPECT_EQ(read("oci-archive:/a/bp.cnb"), "image oci-archive:/a/bp.cnb");
  EXPECT_TRUE(read("docker://UPPER/x y").starts_with("error: image reference"));
  EXPECT_TRUE(read("docker://").starts_with("error: image reference"));
}

TEST(BuildpackUri, TakesArchivesOverHttpsOnly) {
  EXPECT_EQ(read("https://example.com/bp.tgz"), "url https://example.com/bp.tgz");
  EXPECT_EQ(read("http://127.0.0.1:8000/bp.tgz"), "url http://127.0.0.1:8000/bp.tgz");
  EXPECT_EQ(read("http://example.com/bp.tgz"), "error: \"http://example.com/bp.tgz\" is not https");
  EXPECT_TRUE(read("https://user:pw@example.com/x").starts_with("error: "));
  EXPECT_EQ(read("ftp://example.com/bp.tgz"),
            "error: \"ftp://example.com/bp.tgz\": unknown scheme \"ftp\"");
}

TEST(BuildpackUri, KnowsTheRegistry) {
  EXPECT_EQ(read("urn:cnb:registry:example/node.js@1.2.3"), "registry example node.js 1.2.3");
  EXPECT_EQ(read("urn:cnb:registry:example/node"), "registry example node ");
  for (const char* urn : {"urn:cnb:registry:node", "urn:cnb:registry:a/b/c", "urn:cnb:registry:A/b",
                          "urn:cnb:registry:a/b@", "urn:cnb:registry:a/b@1@2",
                          "urn:cnb:registry:../b", "urn:cnb:registry:", "urn:cnb:registry:a/b@1/2"})
    EXPECT_TRUE(read(urn).ends_with("names no entry of the registry")) << urn << read(urn);
}

TEST(BuildpackUri, KnowsTheBuilder) {
  EXPECT_EQ(read("from=builder"), "order");
  EXPECT_EQ(read("from=builder:example/node@1.2.3"), "builder example/node 1.2.3");
  EXPECT_EQ(read("urn:cnb:builder:example/node"), "builder example/node ");
  EXPECT_EQ(read("urn:buildpack:io.example.node"), "builder io.example.node ");
  for (const char* urn : {"urn:cnb:builder:", "urn:cnb:builder:a@", "urn:cnb:builder:a b",
                          "urn:cnb:builder:a/../b", "urn:cnb:builder:/a", "urn:cnb:builder:sbom",
                          "urn:cnb:builder", "urn:cnb:nonsense:a", "urn:x"})
    EXPECT_TRUE(read(urn).starts_with("error: ")) << urn << read(urn);
}

TEST(BuildpackUri, LeavesBareNamesOpen) {
  for (const char* text : {"example/node", "node", "buildpacks/my-bp", "localhost:5000/bp:1",
                           "example/node@1.2.3", "oxo"})
    EXPECT_EQ(read(text), std::string("bare ") + text);
  EXPECT_EQ(read(""), "error: it is empty");
  EXPECT_EQ(read("a\nb"), "error: it holds a control character");
}

TEST(BuildpackUri, SettlesBareNamesInTheOrderOfPack) {
  const BareName name{"example/node"};
  EXPECT_EQ(*settle(name, true, true), BuildpackUri(LocalPath{"example/node"}));
  EXPECT_EQ(*settle(name, false, true), BuildpackUri(BuilderModule{"example/node", ""}));
  EXPECT_EQ(*settle(name, false, false), BuildpackUri(RegistryId{"example", "node", ""}));
  EXPECT_EQ(*settle({"example/node@1.2.3-rc.1"}, false, false),
            BuildpackUri(RegistryId{"example", "node", "1.2.3-rc.1"}));
  for (const char* text : {"node", "example.com/a/b:1", "example/node:1"}) {
    const auto image = settle({text}, false, false);
    ASSERT_TRUE(image) << text;
    EXPECT_TRUE(std::holds_alternative<ImageName>(*image)) << text;
  }
  EXPECT_FALSE(settle({"No Such Thing"}, false, false));
  EXPECT_FALSE(settle({"example/node@latest"}, false, false));
  EXPECT_FALSE(settle({"example/node@01.2.3"}, false, false));
}

}  // namespace
}  // namespace locald::cnb
