#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/result.h"
#include "oci/archive/byte_sink.h"
#include "oci/ref/digest.h"
#include "oci/spec/descriptor.h"
#include "oci/store/image_layout.h"

namespace locald::oci {

struct WrittenLayer {
  Digest diff_id;  ///< of the tar
  std::uint64_t tar_bytes = 0;
  std::optional<Descriptor>
      blob;  ///< compressed, in the layout; none where only the diffID was asked for
};

/// Takes a layer's tar as it is made: hashes it and, on a thread of its own, compresses it (gzip)
/// into a layout. Memory O(1). After an error, or where finish() is never called, nothing is left.
class LayerWriter final : public ByteSink {
 public:
  /// For the diffID alone.
  LayerWriter();
  /// @param layout  Outlives the writer.
  /// @return what BlobWriter::create() does.
  static Result<std::unique_ptr<LayerWriter>> into(const ImageLayout& layout,
                                                   const std::stop_token& stop);
  ~LayerWriter() override;

  Result<void> write(std::span<const std::byte> chunk) override;
  Result<WrittenLayer> finish() &&;

 private:
  struct Pipe;
  Error broken();
  Result<void> flush();
  Sha256 hash_;
  std::uint64_t bytes_ = 0;
  std::vector<std::byte> buffer_;  // headers are small, and each handing over costs
  std::unique_ptr<Pipe> pipe_;     // null: nothing is stored
};

}  // namespace locald::oci
