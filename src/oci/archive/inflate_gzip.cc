#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "oci/archive/decompress.h"

namespace locald::oci {
namespace {

class Gzip final : public Codec {
 public:
  Gzip() : state_(std::make_unique<inflate_state>()) { start(); }

  Result<std::size_t> fill(CodecInput& in, std::span<std::byte> out) override {
    std::size_t made = 0;
    while (made == 0) {
      if (finished_ && !TRY(next_member(in))) return std::size_t{0};
      if (!in_body_) TRY(read_header(in));
      const auto bytes = TRY(in.peek());
      const auto want = static_cast<std::uint32_t>(std::min(out.size(), kMaxOutput));
      const auto have = static_cast<std::uint32_t>(std::min(bytes.size(), kMaxInput));
      std::copy_n(reinterpret_cast<const std::uint8_t*>(bytes.data()), have, input_.begin());
      if (have < dirty_) std::fill(input_.begin() + have, input_.begin() + dirty_, std::uint8_t{0});
      dirty_ = have;
      state_->next_in = input_.data();
      state_->avail_in = have;
      state_->next_out = reinterpret_cast<std::uint8_t*>(out.data());
      state_->avail_out = want;
      const int code = isal_inflate(state_.get());
      if (state_->avail_in > have) return bad(code);
      const std::size_t used = have - state_->avail_in;
      in.take(used);
      made = want - state_->avail_out;
      if (code < 0) return bad(code);
      finished_ = state_->block_state == ISAL_BLOCK_FINISH;
      if (made == 0 && used == 0 && !finished_) {
        if (bytes.empty()) return Error(Errc::corrupt, "the gzip data ends early");
        return Error(Errc::corrupt, "the gzip data is damaged (no progress)");
      }
    }
    return made;
  }

 private:
  static constexpr std::size_t kMaxInput = 256u << 10, kMaxOutput = 256u << 10;
  /// isal 2.30 may count damaged data below zero and read on behind it. What it finds there are
  /// zeros, which are not a block, and as symbols not more than two bytes for each that it writes.
  static constexpr std::size_t kSlack = 1u << 20;

  void start() {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP_NO_HDR_VER;  // CRC-32 and length are checked by isal
    finished_ = false;
    in_body_ = false;
  }

  /// One byte of the header, which counts into its checksum.
  Result<unsigned> header_byte(CodecInput& in) {
    const auto bytes = TRY(in.peek());
    if (bytes.empty()) return Error(Errc::corrupt, "the gzip data ends early");
    const auto byte = std::to_integer<std::uint8_t>(bytes[0]);
    in.take(1);
    header_crc_ = crc32_gzip_refl(header_crc_, &byte, 1);
    return static_cast<unsigned>(byte);
  }

  /// RFC 1952, 2.3. By ourselves: isal reads some headers otherwise when they come in pieces, and
  /// takes reserved flags.
  Result<void> read_header(CodecInput& in) {
    constexpr unsigned kHeaderCrc = 2, kExtra = 4, kName = 8, kComment = 16, kReserved = 0xe0;
    header_crc_ = 0;
    std::array<unsigned, 10> fixed{};
    for (unsigned& byte : fixed) byte = TRY(header_byte(in));
    const unsigned flags = fixed[3];
    if (fixed[0] != 0x1f || fixed[1] != 0x8b || fixed[2] != 8 || (flags & kReserved) != 0)
      return Error(Errc::corrupt, "the gzip data is damaged (header)");
    if ((flags & kExtra) != 0) {
      unsigned left = TRY(header_byte(in));
      left |= TRY(header_byte(in)) << 8;
      for (; left > 0; --left) TRY(header_byte(in));
    }
    for (const unsigned text : {kName, kComment})
      while ((flags & text) != 0 && TRY(header_byte(in)) != 0) {
      }
    if ((flags & kHeaderCrc) != 0) {
      const unsigned expected = header_crc_ & 0xffffu;
      unsigned stored = TRY(header_byte(in));
      stored |= TRY(header_byte(in)) << 8;
      if (stored != expected)
        return Error(Errc::corrupt, "the gzip data is damaged (header checksum)");
    }
    in_body_ = true;
    return {};
  }

  /// Behind a member: another one, or bytes to ignore, or the end.
  Result<bool> next_member(CodecInput& in) {
    const auto head = TRY(in.peek_at_least(2));
    if (head.size() >= 2 && head[0] == std::byte{0x1f} && head[1] == std::byte{0x8b}) {
      start();
      return true;
    }
    while (true) {  // to the end, so that the blob's own hash sees all of it
      const auto rest = TRY(in.peek());
      if (rest.empty()) return false;
      in.take(rest.size());
    }
  }

  static Error bad(int code) {
    switch (code) {
      case ISAL_INCORRECT_CHECKSUM:
        return {Errc::corrupt, "the gzip data is damaged (checksum)"};
      case ISAL_UNSUPPORTED_METHOD:
        return {Errc::corrupt, "the gzip data is damaged (unknown method)"};
      case ISAL_INVALID_WRAPPER:
        return {Errc::corrupt, "the gzip data is damaged (header)"};
      default:
        return {Errc::corrupt,
                "the gzip data is damaged (deflate error " + std::to_string(code) + ")"};
    }
  }

  std::unique_ptr<inflate_state> state_;
  std::vector<std::uint8_t> input_ = std::vector<std::uint8_t>(kMaxInput + kSlack);
  std::size_t dirty_ = 0;  // bytes of input_ that may be no zeros
  std::uint32_t header_crc_ = 0;
  bool in_body_ = false;  // behind the member's header
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<Codec> make_gzip_codec() { return std::make_unique<Gzip>(); }

}  // namespace locald::oci
