#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "oci/archive/byte_source.h"
#include "oci/ref/reference.h"
#include "oci/registry/registry_client.h"
#include "oci/spec/descriptor.h"

namespace locald::oci {

/// Where an image is fetched from: a registry, a layout, an archive. What it
/// gives is unverified, but for the document's digest. Thread-safe.
class ImageOrigin {
 public:
  virtual ~ImageOrigin() = default;

  /// The manifest or index that the reference names.
  virtual Result<FetchedDocument> root() = 0;
  /// A further manifest or index, by its descriptor (an index's entry).
  virtual Result<FetchedDocument> manifest(const Descriptor& descriptor) = 0;
  /// A blob's bytes from `offset` on.
  virtual Result<std::unique_ptr<ByteSource>> blob(const Descriptor& descriptor,
                                                   std::uint64_t offset) = 0;
  /// For people: "docker.io", "/srv/images".
  virtual std::string where() const = 0;
};

/// @return Errc::not_found when the folder or file is not there.
Result<std::unique_ptr<ImageOrigin>> open_origin(const ImageReference& reference,
                                                 RegistryClient::Options options);

/// Opens the origin when it is first needed, so that nobody is contacted for an image in the store.
/// Thread-safe.
class LazyOrigin {
 public:
  /// @param allowed  false: every use is Errc::not_found (policy "never").
  LazyOrigin(const ImageReference& reference, RegistryClient::Options options, bool allowed)
      : reference_(reference), options_(std::move(options)), allowed_(allowed) {}

  Result<ImageOrigin*> get();
  bool used() const;

 private:
  ImageReference reference_;
  RegistryClient::Options options_;
  bool allowed_;
  mutable std::mutex mutex_;
  std::unique_ptr<ImageOrigin> origin_;
};

/// Identifies the present state of a local source ("inode-size-time" of the
/// archive, or of the layout's index.json), so that a change is seen without reading it.
/// "" for registries and where there is nothing.
std::string source_stamp(const ImageReference& reference);

}  // namespace locald::oci
