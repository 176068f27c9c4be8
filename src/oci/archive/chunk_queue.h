#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "base/result.h"
#include "oci/archive/byte_source.h"

namespace locald::oci {

/// The bytes between a download and the thread that applies them: bounded, so
/// that neither runs away from the other. One writer thread, one reader thread.
class ChunkQueue final : public ByteSource {
 public:
  ChunkQueue(std::size_t max_bytes, std::stop_token stop)
      : max_bytes_(max_bytes), stop_(std::move(stop)) {}

  // Writer:
  /// Waits for room. False when the reader has left or all is cancelled.
  bool push(std::span<const std::byte> bytes);
  /// The end, good or bad. Without an error the reader takes what came as complete: verify first.
  void close(std::optional<Error> error);

  // Reader:
  Result<std::span<const std::byte>> read() override;
  /// Wants no more; the writer is not held up.
  void leave();

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::vector<std::byte>> chunks_;
  std::vector<std::byte> lent_;
  std::size_t bytes_ = 0;
  std::size_t max_bytes_;
  std::stop_token stop_;
  std::optional<Error> error_;
  bool closed_ = false;
  bool left_ = false;
};

}  // namespace locald::oci
