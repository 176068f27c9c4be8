#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/ref/reference.h"
#include "oci/spec/descriptor.h"
#include "oci/spec/image_config.h"
#include "oci/spec/manifest.h"
#include "oci/store/image_layout.h"

namespace locald::oci {

/// One image of the store: everything that running it needs to know.
struct StoredImage {
  std::string name;        ///< ImageReference::name() it was found by or is listed under
  Digest manifest_digest;  ///< of this platform's manifest
  Digest config_digest;    ///< what `docker images` calls the image's id
  ImageManifest manifest;
  ImageConfig config;
  std::vector<Digest> diff_ids;  ///< = config.diff_ids, base first: the folders in layers/
  std::uint64_t size_bytes = 0;  ///< of the blobs (compressed)
  std::string created;
  std::string pulled_at;  ///< RFC 3339, UTC; when the name last came to mean this image
};

/// The images of one user: an OCI image layout (images/) with one name an entry
/// of index.json, that skopeo and umoci can read.
///
/// Reads need no lock: index.json is replaced by rename. Changes are serialised
/// between processes by a lock file. Thread-safe. The server calls find(),
/// list() and stored() itself: they read blobs and index.json alone, and cache both.
class ImageStore {
 public:
  /// Opens `images_dir`, making an empty layout (0700) of it where there is none.
  static Result<ImageStore> open(const std::string& images_dir);
  ImageStore(ImageStore&&) noexcept;
  ImageStore& operator=(ImageStore&&) noexcept;
  ~ImageStore();

  /// The image that `reference` means without asking anybody: by name, by
  /// digest of manifest or index. Errc::not_found when it must be pulled first;
  /// for the file transports also when the file has changed since.
  /// Manifest and config are verified against their digests.
  Result<StoredImage> find(const ImageReference& reference) const;

  /// What a person typed: a name, a complete digest, or an id (12 or more
  /// digits of the config's or manifest's digest, with or without "sha256:").
  Result<StoredImage> find(std::string_view text, const std::string& base_dir = {}) const;

  /// All images, by name. A damaged one is left out; see check().
  Result<std::vector<StoredImage>> list() const;

  /// Gives the image behind `manifest_digest` the name `reference` too, or moves it there.
  /// @param source_stamp  For find() of the file transports; "" otherwise.
  Result<void> tag(const Digest& manifest_digest, const ImageReference& reference,
                   const std::string& source_stamp = {},
                   std::optional<Digest> index_digest = std::nullopt);

  struct Removed {
    std::vector<std::string> names;     ///< untagged
    std::vector<Digest> unused_layers;  ///< diff ids that no image here names any more
    std::uint64_t freed_bytes = 0;      ///< blobs
    bool kept_for_pull = false;         ///< a pull is under way: blobs stay till the next removal
  };
  /// Takes the name away (all names, when `text` is an id or a digest) and
  /// collects blobs that nothing names. Layers are only *named* in the result: their files belong
  /// to mapped ids, so a worker removes them, minus those in use by containers.
  Result<Removed> remove(std::string_view text, const std::string& base_dir = {});
  /// Collects blobs that nothing names, and downloads older than a day.
  Result<Removed> collect();

  /// The diff ids of all images: what must stay in layers/.
  Result<std::set<Digest>> used_layers() const;
  /// Bytes of all blobs and of downloads under way.
  Result<std::uint64_t> disk_usage() const;

  struct Damage {
    std::string name;  ///< of the image; empty for a blob that none names
    std::string problem;
  };
  /// Reads every blob and compares it with its name. Slow: a job.
  Result<std::vector<Damage>> check(const std::function<bool()>& cancelled = {}) const;

  ImageLayout& layout() noexcept;
  const ImageLayout& layout() const noexcept;

 private:
  struct State;
  explicit ImageStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace locald::oci
