#pragma once
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "oci/archive/decompress.h"

namespace locald::oci {

/// Inflates on a thread of its own while the caller hashes and writes what came
/// before: the two cost about the same.
///
/// Memory: kBuffers × kBufferBytes. One reader. The thread reads the
/// Decompressor's source, and is joined by the destructor, which waits for a read under
/// way: a source must not block for ever (downloads have a stall timeout).
class ReadAhead final : public ByteSource {
 public:
  explicit ReadAhead(Decompressor& inner);
  ~ReadAhead() override;
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  Result<std::span<const std::byte>> read() override;

 private:
  static constexpr std::size_t kBuffers = 8;
  static constexpr std::size_t kBufferBytes = 256u << 10;
  struct Buffer {
    std::vector<std::byte> bytes;
    std::size_t used = 0;
  };
  void run();

  Decompressor& inner_;
  std::vector<Buffer> buffers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t filled_ = 0;  // buffers ever filled; guarded, as all below
  std::size_t freed_ = 0;   // buffers ever given back
  bool ended_ = false;
  bool stop_ = false;
  bool holding_ = false;  // the reader still looks at buffer `freed_`
  std::optional<Error> error_;
  std::thread thread_;
};

}  // namespace locald::oci
