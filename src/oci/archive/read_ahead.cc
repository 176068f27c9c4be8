#include "oci/archive/read_ahead.h"

#include <utility>

namespace locald::oci {

ReadAhead::ReadAhead(Decompressor& inner) : inner_(inner), buffers_(kBuffers) {
  thread_ = std::thread([this] { run(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReadAhead::run() {
  while (true) {
    Buffer* buffer = nullptr;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || filled_ - freed_ < kBuffers; });
      if (stop_) return;
      buffer = &buffers_[filled_ % kBuffers];
    }
    buffer->bytes.resize(kBufferBytes);
    buffer->used = 0;
    // Full buffers: the codecs may hand over a few bytes at a time, each of which would cost a
    // wake-up.
    std::optional<Error> error;
    bool ended = false;
    while (!ended && !error && buffer->used < kBufferBytes) {
      auto n = inner_.fill(std::span(buffer->bytes).subspan(buffer->used));
      if (!n)
        error = std::move(n).error();
      else if (*n == 0)
        ended = true;
      else
        buffer->used += *n;
    }
    {
      const std::lock_guard lock(mutex_);
      if (buffer->used != 0) ++filled_;
      ended_ = ended;
      if (error) error_ = std::move(error);
    }
    changed_.notify_all();
    if (ended || error_) return;
  }
}

Result<std::span<const std::byte>> ReadAhead::read() {
  std::unique_lock lock(mutex_);
  if (std::exchange(holding_, false)) {
    ++freed_;
    changed_.notify_all();
  }
  changed_.wait(lock, [this] { return filled_ != freed_ || ended_ || error_; });
  if (filled_ != freed_) {
    holding_ = true;
    const Buffer& buffer = buffers_[freed_ % kBuffers];
    return std::span<const std::byte>(buffer.bytes).first(buffer.used);
  }
  if (error_) return *error_;
  return std::span<const std::byte>();
}

}  // namespace locald::oci
