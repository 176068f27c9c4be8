#include "oci/archive/chunk_queue.h"

#include <utility>

namespace locald::oci {

bool ChunkQueue::push(std::span<const std::byte> bytes) {
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop_, [this] { return left_ || bytes_ < max_bytes_; });
  if (left_ || stop_.stop_requested()) return false;
  bytes_ += copy.size();
  chunks_.push_back(std::move(copy));
  lock.unlock();
  changed_.notify_all();
  return true;
}

void ChunkQueue::close(std::optional<Error> error) {
  {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    closed_ = true;
  }
  changed_.notify_all();
}

Result<std::span<const std::byte>> ChunkQueue::read() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop_, [this] { return closed_ || !chunks_.empty(); });
  if (chunks_.empty()) {
    if (error_) return Error(*error_);
    if (!closed_) return Error(Errc::cancelled, "cancelled");
    return std::span<const std::byte>();
  }
  lent_ = std::move(chunks_.front());
  chunks_.pop_front();
  bytes_ -= lent_.size();
  lock.unlock();
  changed_.notify_all();
  return std::span<const std::byte>(lent_);
}

void ChunkQueue::leave() {
  {
    const std::lock_guard lock(mutex_);
    left_ = true;
    chunks_.clear();
    bytes_ = 0;
  }
  changed_.notify_all();
}

}  // namespace locald::oci
