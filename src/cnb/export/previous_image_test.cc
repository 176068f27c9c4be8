#include "cnb/export/previous_image.h"

#include <gtest/gtest.h>

#include <functional>

#include "cnb/test_folder.h"
#include "oci/ref/digest.h"

namespace locald::cnb {
namespace {

class PreviousImage : public ::testing::Test {
 protected:
  PreviousImage() {
    layer_ = put("an old layer");
    sbom_ = put("bills of materials");
    config_ = put(
        R"({"config":{"Labels":{"io.buildpacks.lifecycle.metadata":"{\"sbom\":{\"sha\":\"sha256:two\"}}"}},)"
        R"("rootfs":{"diff_ids":["sha256:one","sha256:two"]}})");
    manifest_ =
        put(R"({"config":{"digest":"sha256:)" + config_ + R"("},"layers":[{"digest":"sha256:)" +
            layer_ + R"("},{"digest":"sha256:)" + sbom_ + R"("}]})");
    folder_.write("i/oci-layout", "{}");
    folder_.write("i/index.json", R"({"manifests":[{"digest":"sha256:)" + manifest_ + R"("}]})");
  }

  std::string put(const std::string& text) {
    const std::string name = oci::Digest::of(text).hex();
    folder_.write("i/blobs/sha256/" + name, text);
    return name;
  }
  std::string blob(const std::string& name) const { return "i/blobs/sha256/" + name; }
  bool has(const std::string& name) const { return exists(folder_ / name); }

  Result<void> thin(const std::string& folder = "i") {
    const AppFolder app = TRY(AppFolder::open({.top = folder_.path()}));
    return thin_previous_image(app, folder);
  }

  TestFolder folder_;
  std::string layer_, sbom_, config_, manifest_;
};

TEST_F(PreviousImage, KeepsWhatALifecycleReadsOfIt) {
  put("left by a build before");
  ASSERT_TRUE(thin());
  EXPECT_TRUE(has(blob(manifest_)) && has(blob(config_)) && has(blob(sbom_)));
  EXPECT_FALSE(has(blob(layer_)));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "i/blobs/sha256"), {}), 3);
  ASSERT_TRUE(thin()) << "again";
  EXPECT_TRUE(has(blob(sbom_)));
  EXPECT_TRUE(thin("none"));
}

TEST_F(PreviousImage, IsRemovedWholeWhereAPartIsMissingOrDamaged) {
  using Damage = std::function<void(const std::string& path)>;
  const Damage remove = [](const std::string& path) { (void)remove_tree(path); };
  const Damage empty = [](const std::string& path) { std::ofstream(path).flush(); };
  const Damage garbage = [](const std::string& path) { std::ofstream(path) << "\xff\x00{"; };
  const Damage folder = [](const std::string& path) {
    (void)remove_tree(path);
    std::filesystem::create_directory(path);
  };
  const Damage symlink = [](const std::string& path) {
    std::filesystem::rename(path, path + ".away");
    std::filesystem::create_symlink(path + ".away", path);
  };
  for (const std::string& part :
       {std::string("i/index.json"), blob(manifest_), blob(config_), blob(sbom_)})
    for (const Damage& damage : {remove, empty, garbage, folder, symlink}) {
      std::filesystem::copy(folder_ / "i", folder_ / "kept",
                            std::filesystem::copy_options::recursive);
      damage(folder_ / part);
      ASSERT_TRUE(thin()) << part;
      EXPECT_FALSE(has("i")) << part;
      (void)remove_tree(folder_ / "i");
      std::filesystem::rename(folder_ / "kept", folder_ / "i");
    }
  remove(folder_ / "i/oci-layout");
  ASSERT_TRUE(thin());
  EXPECT_FALSE(has("i"));
}

TEST_F(PreviousImage, IsRemovedWholeWithTwoManifests) {
  const std::string one = R"({"digest":"sha256:)" + manifest_ + R"("})";
  folder_.write("i/index.json", R"({"manifests":[)" + one + "," + one + "]}");
  ASSERT_TRUE(thin());
  EXPECT_FALSE(has("i"));
}

}  // namespace
}  // namespace locald::cnb
