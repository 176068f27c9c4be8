#include "oci/archive/decompress.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/strings.h"

namespace locald::oci {
namespace {

constexpr std::size_t kBufferBytes = 256u << 10;
constexpr std::size_t kSniffBytes = 6;

class Plain final : public Codec {
 public:
  Result<std::size_t> fill(CodecInput& in, std::span<std::byte> out) override {
    const auto bytes = TRY(in.peek());
    const std::size_t n = std::min(bytes.size(), out.size());
    if (n != 0) std::memcpy(out.data(), bytes.data(), n);
    in.take(n);
    return n;
  }
};

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

Result<Compression> sniff(std::span<const std::byte> head) {
  if (starts_with(head, "\x1f\x8b")) return Compression::gzip;
  if (starts_with(head, "\x28\xb5\x2f\xfd")) return Compression::zstd;
  if (head.size() >= 4 && (std::to_integer<unsigned>(head[0]) & 0xf0u) == 0x50 &&
      starts_with(head.subspan(1), "\x2a\x4d\x18"))
    return Compression::zstd;  // a skippable frame
  if (starts_with(head, std::string_view("\xfd"
                                         "7zXZ\0",
                                         6)))
    return Error(Errc::unsupported,
                 "the layer is compressed with xz; gzip, zstd and plain tar are supported");
  if (starts_with(head, "BZh"))
    return Error(Errc::unsupported,
                 "the layer is compressed with bzip2; gzip, zstd and plain tar are supported");
  return Compression::none;
}

}  // namespace

std::string_view to_string(Compression kind) noexcept {
  switch (kind) {
    case Compression::none:
      return "plain tar";
    case Compression::gzip:
      return "gzip";
    case Compression::zstd:
      return "zstd";
  }
  return "?";
}

Result<Compression> compression_of(std::string_view media_type) {
  for (std::string_view base : {"application/vnd.oci.image.layer.v1.tar",
                                "application/vnd.oci.image.layer.nondistributable.v1.tar",
                                "application/vnd.docker.image.rootfs.diff.tar",
                                "application/vnd.docker.image.rootfs.foreign.diff.tar"}) {
    if (!media_type.starts_with(base)) continue;
    const std::string_view suffix = media_type.substr(base.size());
    if (suffix.empty()) return Compression::none;
    if (suffix == "+gzip" || suffix == ".gzip") return Compression::gzip;
    if (suffix == "+zstd" || suffix == ".zstd") return Compression::zstd;
  }
  return Error(
      Errc::unsupported,
      "a layer of the type \"" + std::string(media_type.substr(0, 200)) + "\" is not supported");
}

Result<std::span<const std::byte>> CodecInput::peek() {
  if (rest_.empty() && !ended_) {
    rest_ = TRY(source_.read());
    ended_ = rest_.empty();
  }
  return rest_;
}

Result<std::span<const std::byte>> CodecInput::peek_at_least(std::size_t bytes) {
  auto have = TRY(peek());
  if (have.size() >= bytes || ended_) return have;
  std::vector<std::byte> head(have.begin(), have.end());  // `have` may lie in head_
  while (head.size() < bytes && !ended_) {
    rest_ = {};
    const auto next = TRY(peek());
    head.insert(head.end(), next.begin(), next.end());
  }
  head_ = std::move(head);
  rest_ = head_;
  return rest_;
}

Decompressor::Decompressor(ByteSource& in, std::string_view media_type, const LayerLimits& limits)
    : in_(in), media_type_(media_type), limits_(limits) {}

Decompressor::~Decompressor() = default;

Result<void> Decompressor::choose() {
  Compression declared = Compression::none;
  if (!media_type_.empty()) declared = TRY(compression_of(media_type_));
  const Compression actual = TRY(sniff(TRY(in_.peek_at_least(kSniffBytes))));
  if (!media_type_.empty() && declared != actual)
    warning_ =
        "declared as " + media_type_ + ", but the bytes are " + std::string(to_string(actual));
  switch (actual) {
    case Compression::none:
      codec_ = std::make_unique<Plain>();
      break;
    case Compression::gzip:
      codec_ = make_gzip_codec();
      break;
    case Compression::zstd:
      codec_ = make_zstd_codec(limits_.max_zstd_window_log);
      break;
  }
  return {};
}

Result<std::size_t> Decompressor::fill(std::span<std::byte> out) {
  if (ended_) return std::size_t{0};
  if (!codec_) TRY(choose());
  const std::size_t n = TRY(codec_->fill(in_, out));
  ended_ = n == 0;
  out_bytes_ += n;
  if (out_bytes_ > limits_.ratio_from_bytes && out_bytes_ / limits_.max_ratio > in_.taken())
    return Error(Errc::invalid_input, "the layer's compression ratio exceeds " +
                                          std::to_string(limits_.max_ratio) + ":1 (" +
                                          human_bytes(in_.taken()) + " became " +
                                          human_bytes(out_bytes_) + " so far)")
        .with_hint(
            "it may be a decompression bomb; if the layer is yours, leave out the file that is all "
            "one byte, or push the layer uncompressed");
  return n;
}

Result<std::span<const std::byte>> Decompressor::read() {
  buffer_.resize(kBufferBytes);
  const std::size_t n = TRY(fill(buffer_));
  return std::span<const std::byte>(buffer_).first(n);
}

}  // namespace locald::oci
