#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "oci/archive/byte_source.h"
#include "oci/spec/descriptor.h"
#include "oci/store/blob_verifier.h"

namespace locald::oci {

/// One blob on its way into a layout, under a lock of its digest's own.
///
/// The bytes go to ingest/<hex>; they get their name in blobs/ by rename, after
/// size and hash were right and fsync(2) said so. Whatever ends early leaves the
/// file there: the next attempt resumes after it, hashed again from its first byte.
class BlobIngest {
 public:
  /// True when another process finished the blob while we waited for its lock: nothing to do.
  bool already_there() const noexcept { return !verifier_; }
  /// Bytes that an earlier attempt left: ask the origin for the rest only.
  std::uint64_t offset() const noexcept { return verifier_ ? verifier_->bytes_seen() : 0; }
  /// Those bytes, from the first (the file's position is its own).
  Result<std::unique_ptr<ByteSource>> prefix() const;

  /// @return Errc::corrupt when more comes than promised; Errc::no_space.
  Result<void> write(std::span<const std::byte> chunk);

  /// Verifies, syncs, renames. On Errc::corrupt the bytes are thrown away.
  Result<void> commit() &&;

  /// Throws the bytes away: they cannot be the start of the blob.
  void discard();

 private:
  friend class ImageLayout;
  BlobIngest(int layout_dir, Descriptor expected)
      : layout_dir_(layout_dir), expected_(std::move(expected)) {}

  int layout_dir_;  // borrowed: the layout outlives its ingests
  Descriptor expected_;
  UniqueFd file_;  // holds the flock
  std::unique_ptr<BlobVerifier> verifier_;
};

/// What stands in the file `oci-layout` of every layout.
inline constexpr const char* kLayoutFile = R"({"imageLayoutVersion":"1.0.0"})";

/// An OCI image layout on disk: `oci-layout`, `index.json`, `blobs/sha256/<hex>`.
///
/// Blobs are stored as received, never serialised again, so that they hash to
/// their names. index.json is replaced atomically, under a lock between processes.
/// Nothing in it is trusted: a blob that is a symlink or no regular file is
/// refused. Thread-safe. Spec: OCI image-spec, image-layout.md.
class ImageLayout {
 public:
  /// An existing layout, for reading.
  /// @return Errc::not_found: no such folder; Errc::invalid_input: no layout, or of another
  /// version.
  static Result<ImageLayout> open(const std::string& dir);
  /// The same, made first where there is nothing.
  static Result<ImageLayout> open_or_create(const std::string& dir);

  const std::string& dir() const noexcept { return dir_; }
  int dir_fd() const noexcept { return dir_fd_.get(); }

  /// @return Errc::not_found; Errc::corrupt if it is not a regular file.
  Result<UniqueFd> open_blob(const Digest& digest) const;
  /// Size of the blob, if it is there and a regular file.
  std::optional<std::uint64_t> blob_size(const Digest& digest) const;
  bool has_blob(const Descriptor& blob) const { return blob_size(blob.digest) == blob.size_bytes; }

  /// A small blob as a whole, verified. @return Errc::corrupt: other bytes than its name says.
  Result<std::string> read_document(const Digest& digest, std::size_t max_bytes) const;

  /// A stream of the blob's bytes that ends well only if size and hash were right.
  Result<std::unique_ptr<ByteSource>> open_verified(const Descriptor& blob) const;

  /// Starts or resumes a blob. Waits while another process or thread has it under way; a download
  /// that dies gives its lock free. @return Errc::cancelled.
  Result<BlobIngest> ingest(const Descriptor& blob, std::stop_token stop = {});
  /// A small blob at once. An existing one stays.
  Result<void> add_document(const Descriptor& blob, std::string_view bytes);
  /// An image of our own making: its configuration and, over `layers`, base first, which are there
  /// already, a manifest of OCI media types throughout, whatever the layers came as. @return the
  /// manifest, not named yet: hold a lease() until it is.
  Result<Descriptor> add_image(std::string_view config, std::vector<Descriptor> layers);
  /// Removes a blob that turned out to be damaged.
  void drop_blob(const Digest& digest);

  /// The entries of index.json, parsed again only when the file has changed.
  Result<std::shared_ptr<const std::vector<Descriptor>>> index() const;
  /// Reads the entries, lets `change` edit them, and writes them: one at a time between all
  /// processes.
  Result<void> change_index(const std::function<Result<void>(std::vector<Descriptor>&)>& change);

  /// Errc::no_space that says what was tried, where, how much is free there, and what to do.
  Error no_space(const std::string& what) const;

  /// Calls `visit` for each blob of blobs/sha256.
  Result<void> each_blob(
      const std::function<Result<void>(const Digest&, std::uint64_t size)>& visit) const;

  /// Kept from collection while held (flock, shared): a pull has one until its name is in the
  /// index.
  Result<UniqueFd> lease() const;
  /// The only user, or nullopt when somebody has a lease.
  Result<std::optional<UniqueFd>> try_exclusive() const;

 private:
  struct Cache;
  ImageLayout(std::string dir, UniqueFd dir_fd);

  std::string dir_;
  UniqueFd dir_fd_;
  std::shared_ptr<Cache> cache_;
};

}  // namespace locald::oci
