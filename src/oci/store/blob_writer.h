#pragma once
#include <string>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "oci/archive/byte_sink.h"
#include "oci/ref/digest.h"
#include "oci/spec/descriptor.h"
#include "oci/store/image_layout.h"

namespace locald::oci {

/// A blob of our own making on its way into a layout. Its digest, and so its name, is known at
/// its end. Until commit() it lies in ingest/, and the destructor removes it; what a crash
/// leaves there goes when the next one is made.
class BlobWriter final : public ByteSink {
 public:
  /// @param layout  Outlives the writer.
  static Result<BlobWriter> create(const ImageLayout& layout);
  BlobWriter(BlobWriter&&) noexcept = default;
  BlobWriter& operator=(BlobWriter&&) = delete;
  ~BlobWriter() override;

  /// @return Errc::no_space, with how much there is, and other errors of write(2).
  Result<void> write(std::span<const std::byte> chunk) override;

  /// Syncs and renames. One of the same digest that is there already stays.
  Result<Descriptor> commit(std::string media_type) &&;

 private:
  BlobWriter(const ImageLayout& layout, std::string path, UniqueFd file)
      : layout_(&layout), path_(std::move(path)), file_(std::move(file)) {}

  const ImageLayout* layout_;
  std::string path_;  // below the layout
  UniqueFd file_;     // holds a flock: it is under way
  Sha256 hash_;
  std::uint64_t size_ = 0;
};

}  // namespace locald::oci
