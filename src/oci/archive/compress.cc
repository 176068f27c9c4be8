#include "oci/archive/compress.h"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace locald::oci {
namespace {

constexpr std::uint32_t kLevel = 1;
constexpr std::size_t kLevelBytes = ISAL_DEF_LVL1_LARGE;
constexpr std::size_t kOutBytes = 256u << 10;
// Chunks of one length go in, whatever comes: where blocks end would depend on it otherwise.
constexpr std::size_t kInBytes = 256u << 10;

}  // namespace

struct GzipSink::State {
  isal_zstream stream{};
  std::vector<std::uint8_t> level = std::vector<std::uint8_t>(kLevelBytes);
  std::vector<std::uint8_t> out = std::vector<std::uint8_t>(kOutBytes);
  std::vector<std::byte> in;
};

GzipSink::GzipSink(ByteSink& inner) : inner_(inner), state_(std::make_unique<State>()) {
  isal_zstream& s = state_->stream;
  isal_deflate_init(&s);
  s.level = kLevel;
  s.level_buf = state_->level.data();
  s.level_buf_size = static_cast<std::uint32_t>(state_->level.size());
  s.gzip_flag = IGZIP_GZIP;
  s.flush = NO_FLUSH;
  state_->in.reserve(kInBytes);
}

GzipSink::~GzipSink() = default;

Result<void> GzipSink::run(std::span<const std::byte> chunk, bool end) {
  isal_zstream& s = state_->stream;
  // isal reads only; its interface merely lacks the const.
  s.next_in = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(chunk.data()));
  s.avail_in = static_cast<std::uint32_t>(chunk.size());
  s.end_of_stream = end ? 1 : 0;
  do {
    s.next_out = state_->out.data();
    s.avail_out = kOutBytes;
    if (const int code = isal_deflate(&s); code != COMP_OK)
      return Error(Errc::failed, "compressing failed (" + std::to_string(code) + ")");
    const std::size_t made = kOutBytes - s.avail_out;
    if (made > 0) TRY(inner_.write({reinterpret_cast<const std::byte*>(state_->out.data()), made}));
  } while (s.avail_in > 0 || s.avail_out == 0 || (end && s.internal_state.state != ZSTATE_END));
  return {};
}

Result<void> GzipSink::write(std::span<const std::byte> chunk) {
  std::vector<std::byte>& in = state_->in;
  while (!chunk.empty()) {
    const std::size_t n = std::min(chunk.size(), kInBytes - in.size());
    in.insert(in.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(n));
    chunk = chunk.subspan(n);
    if (in.size() < kInBytes) break;
    TRY(run(in, /*end=*/false));
    in.clear();
  }
  return {};
}

Result<void> GzipSink::finish() { return run(state_->in, /*end=*/true); }

}  // namespace locald::oci
