#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <memory>
#include <string>

#include "oci/decompress.h"

namespace locald::oci {
namespace {

class Gzip final : public Codec {
 public:
  Gzip() : state_(std::make_unique<inflate_state>()) { start(); }

  Result<std::size_t> fill(CodecInput& in, std::span<std::byte> out) override {
    std::size_t made = 0;
    while (made == 0) {
      if (finished_ && !TRY(next_member(in))) return std::size_t{0};
      const auto bytes = TRY(in.peek());
      const auto want = static_cast<std::uint32_t>(std::min<std::size_t>(out.size(), kMaxStep));
      const auto have = static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), kMaxStep));
      // isal reads only; its interface merely lacks the const.
      state_->next_in =
          const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(bytes.data()));
      state_->avail_in = have;
      state_->next_out = reinterpret_cast<std::uint8_t*>(out.data());
      state_->avail_out = want;
      const int code = isal_inflate(state_.get());
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
  static constexpr std::size_t kMaxStep = 1u << 30;

  void start() {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;  // headers of any kind, CRC-32 and length are isal's work
    finished_ = false;
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
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<Codec> make_gzip_codec() { return std::make_unique<Gzip>(); }

}  // namespace locald::oci
