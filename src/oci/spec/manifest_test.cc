#include "oci/spec/manifest.h"

#include <gtest/gtest.h>

#include "oci/spec/media_type.h"

namespace locald::oci {
namespace {

std::string descriptor(const std::string& type, const std::string& content) {
  return R"({"mediaType":")" + type + R"(","digest":")" + Digest::of(content).str() +
         R"(","size":)" + std::to_string(content.size()) + "}";
}

std::string manifest(const std::string& layers, const std::string& more = "") {
  return R"({"schemaVersion":2,)" + more + R"("config":)" +
         descriptor("application/vnd.oci.image.config.v1+json", "{}") + R"(,"layers":[)" + layers +
         "]}";
}

TEST(Manifest, ReadsLayersOfMixedKinds) {
  auto document = parse_manifest(manifest(descriptor(std::string(kOciLayerGzip), "a") + "," +
                                          descriptor(std::string(kOciLayerZstd), "b") + "," +
                                          descriptor(std::string(kDockerLayerGzip), "c")));
  ASSERT_TRUE(document) << document.error().message();
  const auto& image = std::get<ImageManifest>(*document);
  EXPECT_EQ(image.media_type, kOciManifest);
  ASSERT_EQ(image.layers.size(), 3u);
  EXPECT_EQ(image.layers[1].media_type, kOciLayerZstd);
  EXPECT_EQ(image.layers[2].digest, Digest::of("c"));
  EXPECT_EQ(parse_manifest(image.to_json().dump())->index(), 0u);
}

TEST(Manifest, ReadsAnIndexWithPlatforms) {
  auto document = parse_manifest(
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[
      {"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":")" +
          Digest::of("x").str() +
          R"(","size":528,"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]})",
      "application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8");
  ASSERT_TRUE(document) << document.error().message();
  EXPECT_EQ(std::get<ImageIndex>(*document).manifests.at(0).platform->str(), "linux/arm64/v8");
}

TEST(Manifest, UnknownAnnouncementsDoNotMatter) {
  for (const char* type : {"", "text/plain", "application/json"})
    EXPECT_TRUE(parse_manifest(manifest(""), type)) << type;
}

TEST(Manifest, RefusesWhatTwoReadersCouldTakeForDifferentThings) {
  const std::string index_too = R"("manifests":[],)";
  EXPECT_EQ(parse_manifest(manifest("", index_too)).error().message(),
            "the document is both a manifest and an index; refused (CVE-2021-41190)");
  EXPECT_FALSE(parse_manifest(manifest(""), kOciIndex));
  EXPECT_FALSE(
      parse_manifest(manifest("", R"("mediaType":"application/vnd.oci.image.manifest.v1+json",)"),
                     kDockerManifest));
  EXPECT_FALSE(
      parse_manifest(manifest("", R"("mediaType":"application/vnd.oci.image.index.v1+json",)")));
  EXPECT_FALSE(parse_manifest(manifest("", R"("Layers":[],)")));
  EXPECT_FALSE(parse_manifest(manifest("", R"("schemaVersion":2,)")));
}

TEST(Manifest, NamesWhatItDoesNotTake) {
  EXPECT_EQ(parse_manifest(R"({"schemaVersion":1,"fsLayers":[]})").error().code(),
            Errc::unsupported);
  EXPECT_EQ(
      parse_manifest(manifest(descriptor("application/vnd.in-toto+json", "a"))).error().code(),
      Errc::unsupported);
  EXPECT_EQ(parse_manifest(R"({"schemaVersion":2,"config":)" +
                           descriptor("application/vnd.cncf.helm.config.v1+json", "{}") +
                           R"(,"layers":[]})")
                .error()
                .message(),
            "this is not a container image: its config is of type "
            "application/vnd.cncf.helm.config.v1+json");
}

TEST(Manifest, RefusesBrokenDocuments) {
  for (const std::string& text : std::vector<std::string>{
           "", "[]", "null", "{}", R"({"schemaVersion":2})", R"({"schemaVersion":"2"})",
           R"({"schemaVersion":2,"config":{},"layers":[]})",
           R"({"schemaVersion":2,"manifests":{}})",
           R"({"schemaVersion":2,"manifests":[{"digest":"sha256:../../x","size":1}]})",
           R"({"schemaVersion":2,"manifests":[{"digest":")" + Digest::of("").str() +
               R"(","size":-1}]})",
           R"({"schemaVersion":2,"manifests":[{"digest":")" + Digest::of("").str() +
               R"(","size":1e30}]})",
           R"({"schemaVersion":2,"manifests":[{"digest":")" + Digest::of("").str() +
               R"(","size":99999999999999999999}]})",
           manifest(R"({"mediaType":"x"})"), std::string(5u << 20, ' ')})
    EXPECT_FALSE(parse_manifest(text)) << text.substr(0, 100);
}

TEST(Manifest, LimitsLayersAndEntries) {
  std::string layers;
  for (std::size_t i = 0; i <= kMaxLayers; ++i)
    layers += (i ? "," : "") + descriptor(std::string(kOciLayer), "a");
  EXPECT_FALSE(parse_manifest(manifest(layers)));
  std::string entries;
  for (std::size_t i = 0; i <= kMaxIndexEntries; ++i)
    entries += (i ? "," : "") + descriptor(std::string(kOciManifest), "a");
  EXPECT_FALSE(parse_manifest(R"({"schemaVersion":2,"manifests":[)" + entries + "]}"));
}

TEST(Manifest, AnnotationsMayDifferInCaseOnly) {
  EXPECT_TRUE(parse_manifest(manifest("", R"("annotations":{"a":"1","A":"2"},)")));
  EXPECT_FALSE(parse_manifest(manifest("", R"("annotations":{"a":"1","a":"2"},)")));
  EXPECT_FALSE(parse_manifest(manifest("", R"("annotations":{"a":1},)")));
}

}  // namespace
}  // namespace locald::oci
