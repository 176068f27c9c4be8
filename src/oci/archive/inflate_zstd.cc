#include <zstd.h>

#include <memory>
#include <string>

#include "oci/archive/decompress.h"

namespace locald::oci {
namespace {

class Zstd final : public Codec {
 public:
  explicit Zstd(std::uint32_t window_log_max) : context_(ZSTD_createDCtx()) {
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, static_cast<int>(window_log_max));
  }

  Result<std::size_t> fill(CodecInput& in, std::span<std::byte> out) override {
    if (!context_) return Error(Errc::failed, "cannot start zstd: no memory");
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos == 0) {
      const auto bytes = TRY(in.peek());
      if (bytes.empty() && between_frames_) return std::size_t{0};
      ZSTD_inBuffer from{bytes.data(), bytes.size(), 0};
      const std::size_t code = ZSTD_decompressStream(context_.get(), &to, &from);
      in.take(from.pos);
      if (ZSTD_isError(code) != 0)
        return Error(Errc::corrupt,
                     std::string("the zstd data is damaged (") + ZSTD_getErrorName(code) + ")");
      between_frames_ = code == 0;
      if (bytes.empty() && to.pos == 0) return Error(Errc::corrupt, "the zstd data ends early");
    }
    return to.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  bool between_frames_ = true;  // an empty stream has no frame to miss; choose() has seen a magic
};

}  // namespace

std::unique_ptr<Codec> make_zstd_codec(std::uint32_t window_log_max) {
  return std::make_unique<Zstd>(window_log_max);
}

}  // namespace locald::oci
