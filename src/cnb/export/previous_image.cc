#include "cnb/export/previous_image.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <vector>

#include "base/json/json.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "oci/ref/digest.h"
#include "oci/spec/manifest.h"

namespace locald::cnb {
namespace {

class Image {
 public:
  Image(const AppFolder& app, const std::string& folder)
      : app_(app), folder_(folder), blobs_(folder + "/blobs/sha256") {}

  Result<std::vector<std::string>> needed() const {
    TRY(app_.read_file(folder_ + "/oci-layout", oci::kMaxManifestBytes));
    const Json index = TRY(oci::parse_image_json(
        TRY(app_.read_file(folder_ + "/index.json", oci::kMaxManifestBytes))));
    const auto& manifests = index["manifests"].as_array();
    if (manifests.size() != 1) return Error(Errc::corrupt, "not one manifest");
    const auto manifest_digest = TRY(digest_of(manifests[0]));
    const Json manifest = TRY(document(manifest_digest));
    const auto config_digest = TRY(digest_of(manifest["config"]));
    const Json config = TRY(document(config_digest));
    std::vector<std::string> needed = {manifest_digest.hex(), config_digest.hex()};

    const std::string& label = config["config"]["Labels"][kLifecycleLabel].as_string();
    const Json metadata = TRY(oci::parse_image_json(label));
    const std::string& sbom = metadata["sbom"]["sha"].as_string();
    if (sbom.empty()) return needed;
    const std::vector<std::string> diff_ids = config["rootfs"]["diff_ids"].as_strings();
    const auto& layers = manifest["layers"].as_array();
    for (std::size_t i = 0; i < diff_ids.size() && i < layers.size(); ++i) {
      if (diff_ids[i] != sbom) continue;
      const auto digest = TRY(digest_of(layers[i]));
      TRY(check(digest));
      needed.push_back(digest.hex());
      return needed;
    }
    return Error(Errc::corrupt, "no layer is the one of the bills of materials");
  }

  Result<void> keep(const std::vector<std::string>& names) const {
    return app_.thin_out(blobs_, names);
  }

 private:
  static Result<oci::Digest> digest_of(const Json& descriptor) {
    return oci::Digest::parse(TRY(descriptor.get_string("digest")));
  }

  Result<Json> document(const oci::Digest& digest) const {
    const std::string text =
        TRY(app_.read_file(blobs_ + "/" + digest.hex(), oci::kMaxManifestBytes));
    if (oci::Digest::of(text) != digest) return Error(Errc::corrupt, digest.hex());
    return oci::parse_image_json(text);
  }

  Result<void> check(const oci::Digest& digest) const {
    const UniqueFd dir = TRY(app_.dir(blobs_));
    const UniqueFd file =
        TRY(sys::openat(dir.get(), digest.hex(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    struct stat st {};
    if (::fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode))
      return Error(Errc::corrupt, digest.hex());
    oci::Sha256 sha;
    std::array<std::byte, 262144> buffer;
    while (const std::size_t n = TRY(sys::read_some(file.get(), buffer.data(), buffer.size())))
      sha.update({buffer.data(), n});
    if (std::move(sha).finish() != digest) return Error(Errc::corrupt, digest.hex());
    return {};
  }

  const AppFolder& app_;
  const std::string& folder_;
  std::string blobs_;
};

}  // namespace

Result<void> thin_previous_image(const AppFolder& app, const std::string& folder) {
  if (!app.has(folder)) return {};
  const Image image(app, folder);
  const auto needed = image.needed();
  return needed ? image.keep(*needed) : app.remove(folder);
}

}  // namespace locald::cnb
