#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <utility>

#include "base/result.h"

namespace locald {

/// Bounds how many do something at once, in whatever threads they are; others wait in order of
/// arrival, and may be called off. Thread-safe; outlives its places.
class Limit {
 public:
  explicit Limit(std::size_t at_once) : free_(at_once) {}
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

  /// Given back at its end.
  class Place {
   public:
    Place(Place&& other) noexcept : limit_(std::exchange(other.limit_, nullptr)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(limit_, other.limit_);
      return *this;
    }
    ~Place();

   private:
    friend class Limit;
    explicit Place(Limit& limit) : limit_(&limit) {}
    Limit* limit_;
  };

  /// @param on_wait  Called once, where none is free; may be empty. Not from within a take().
  /// @return Errc::cancelled when `stop` was asked for before one was free.
  Result<Place> take(const std::stop_token& stop, const std::function<void()>& on_wait = {});

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::size_t free_;
  std::deque<const void*> waiting_;  // first come, first served
};

}  // namespace locald
