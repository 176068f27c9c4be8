#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/archive/byte_source.h"
#include "oci/archive/layer_limits.h"

namespace locald::oci {

enum class Compression : std::uint8_t { none, gzip, zstd };
std::string_view to_string(Compression kind) noexcept;

/// What a layer's media type promises. "" promises nothing: the bytes decide.
/// @return Errc::unsupported for anything that is not a tar layer, plain, gzip or zstd.
Result<Compression> compression_of(std::string_view media_type);

/// The compressed bytes as a codec takes them: whatever the source's last read left over.
class CodecInput {
 public:
  explicit CodecInput(ByteSource& source) : source_(source) {}

  /// Bytes not yet taken; reads on when there are none. Empty: the end.
  Result<std::span<const std::byte>> peek();
  void take(std::size_t bytes) noexcept { rest_ = rest_.subspan(bytes), taken_ += bytes; }
  std::uint64_t taken() const noexcept { return taken_; }
  /// At least `bytes` in one piece, fewer only at the end. For the first look alone: copies.
  Result<std::span<const std::byte>> peek_at_least(std::size_t bytes);

 private:
  ByteSource& source_;
  std::span<const std::byte> rest_;
  std::vector<std::byte> head_;
  std::uint64_t taken_ = 0;
  bool ended_ = false;
};

/// One way of inflating. After an error of no further use.
class Codec {
 public:
  virtual ~Codec() = default;
  /// Writes the next bytes to `out`; 0 only at a proper end, where the input has been read to its
  /// end.
  virtual Result<std::size_t> fill(CodecInput& in, std::span<std::byte> out) = 0;
};
std::unique_ptr<Codec> make_gzip_codec();                              ///< inflate_gzip.cc
std::unique_ptr<Codec> make_zstd_codec(std::uint32_t window_log_max);  ///< inflate_zstd.cc

/// A layer's tar, whatever it is wrapped in.
///
/// The bytes decide (magic numbers), the media type is checked: both layers
/// declared gzip that are plain and the reverse exist, and are read with a
/// warning; xz, bzip2 and unknown types are refused by name.
///
/// gzip (RFC 1952): members one after the other are one stream, CRC and length
/// checked; bytes behind the last that are not a member are ignored.
/// zstd (RFC 8878): any number of frames, skippable ones too; no dictionaries.
/// A stream that ends early is Errc::corrupt. The source is always read to its end.
/// An expansion beyond `max_ratio` is Errc::invalid_input, so that a small file cannot keep us busy
/// for hours.
///
/// Memory: O(1), at most the zstd window. Not thread-safe.
class Decompressor final : public ByteSource {
 public:
  Decompressor(ByteSource& in, std::string_view media_type, const LayerLimits& limits);
  ~Decompressor() override;

  /// Fills `out` as far as the codec can in one go; 0 is the end, and stays the end.
  Result<std::size_t> fill(std::span<std::byte> out);
  /// As ByteSource; 256 KiB at a time.
  Result<std::span<const std::byte>> read() override;

  /// Why the bytes were taken as something else than declared; "" when they were not. Known after
  /// the first read.
  const std::string& warning() const noexcept { return warning_; }

 private:
  Result<void> choose();

  CodecInput in_;
  std::string media_type_;
  LayerLimits limits_;
  std::unique_ptr<Codec> codec_;
  std::vector<std::byte> buffer_;
  std::string warning_;
  std::uint64_t out_bytes_ = 0;
  bool ended_ = false;
};

}  // namespace locald::oci
