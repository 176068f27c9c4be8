#pragma once
#include <memory>
#include <string>
#include <vector>

#include "builder/bundle_source.h"
#include "builder/container_options.h"
#include "builder/environment.h"
#include "builder/storage.h"
#include "oci/ref/reference.h"
#include "oci/transfer/pull.h"

namespace locald::builder {

/// A bundle from an OCI image: pulled unless present, its layers beneath the
/// container's own writable folder.
///
///     find image ── missing? ──> worker: pull
///       │  manifest, config, layers committed
///     facts ────── missing? ──> worker: look (users, mount points), kept per manifest
///       │
///     upper ────── mount points (worker only where owners or a used upper ask for it)
///     volumes ──── new and with content? ──> worker: copy-up
///       │
///     RuntimeSpec (pure: mount_plan.h, spec_builder.h) ──> ContainerBundle
///
/// Warm, nothing but small files is read: no worker, no network.
class ImageSource final : public BundleSource {
 public:
  /// @param environment    Borrowed; outlives this.
  /// @param container_key  Names the writable folder (Paths::container): kept
  ///                       over stop and start, removed by remove_container().
  ImageSource(Environment& environment, oci::ImageReference reference, oci::PullPolicy policy,
              ContainerOptions options, std::string container_key);

  Result<runtime::ContainerBundle> prepare(const std::string& destination,
                                           const PrepareContext& context) override;
  /// The manifest's digest, once prepare() has found the image.
  std::string fingerprint() const override;

 private:
  Environment& environment_;
  oci::ImageReference reference_;
  oci::PullPolicy policy_;
  ContainerOptions options_;
  std::string container_key_;
  std::string fingerprint_;
  bool asked_ = false;  ///< PullPolicy::always asks once, not at each restart
};

/// The image as found or pulled: what `image/pull` needs too. Progress is given on in
/// PrepareProgress' words.
struct PulledImage {
  oci::StoredImage image;
  bool contacted = false;
  std::vector<std::string> notices;
};
Result<PulledImage> pull_image(Environment& environment, const oci::ImageReference& reference,
                               oci::PullPolicy policy, const PrepareContext& context);

/// Puts a stored image into a registry (oci/transfer/registry_push.h), with the login of the client.
struct PushedImage {
  unsigned uploaded = 0, mounted = 0, there_before = 0;  ///< blobs
  std::uint64_t uploaded_bytes = 0;
};
Result<PushedImage> push_image(Environment& environment, const oci::StoredImage& image,
                               const oci::ImageReference& target, const PrepareContext& context);

/// An image's layers as lower folders (runtime::Rootfs::lowers, LayerStore::dir() being their
/// base).
/// @param diff_ids  Base first, as in the image's configuration.
/// @return Errc::not_found: a layer is not there; Errc::invalid_input: the image has none.
Result<std::vector<std::string>> image_lowers(Environment& environment,
                                              const std::vector<oci::Digest>& diff_ids);

/// Writes the image's file system, flat, into the new or empty folder `dir` (`image unpack`),
/// pulling it where needed.
struct UnpackedImage {
  std::string digest;
  std::uint64_t entries = 0;
  std::vector<std::string> warnings;
};
Result<UnpackedImage> unpack_image(Environment& environment, const oci::ImageReference& reference,
                                   oci::PullPolicy policy, const std::string& dir,
                                   const PrepareContext& context);

/// Removes an image's name, the blobs nothing names any more, and their layers.
/// @return Errc::invalid_input while a container, running or kept, stands on it and this is its
/// last name.
/// @param also_used  diffIDs of layers that others than images need.
Result<oci::ImageStore::Removed> remove_image(Environment& environment, const std::string& text,
                                              const std::vector<oci::Digest>& also_used,
                                              const std::stop_token& stop);

}  // namespace locald::builder
