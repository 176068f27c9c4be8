#pragma once
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "base/result.h"
#include "builder/bundle_source.h"

namespace locald::builder {

/// One pull of an image at a time. Who else wants it waits, can be called off, and hears how the
/// pull goes as if it were its own: "rate limited by HOST" concerns them all. Thread-safe;
/// outlives its turns.
class PullTurns {
 public:
  using Sink = std::function<void(const PrepareProgress&)>;

  /// Given back at its end.
  class Turn {
   public:
    Turn(Turn&& other) noexcept
        : all_(std::exchange(other.all_, nullptr)), key_(std::move(other.key_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn();
    /// Tells those who wait.
    void tell(const PrepareProgress& progress) const;

   private:
    friend class PullTurns;
    Turn(PullTurns& all, std::string key) : all_(&all), key_(std::move(key)) {}
    PullTurns* all_;
    std::string key_;
  };

  /// @param progress  Told, while another pulls `key`, what that one is told: first the last thing.
  ///                  From its thread; must not call back in here. May be empty.
  /// @return Errc::cancelled when `stop` was asked for before it was our turn.
  Result<Turn> take(const std::string& key, const Sink& progress, const std::stop_token& stop);

 private:
  struct Pull {
    bool busy = false;
    std::optional<PrepareProgress> last;
    std::list<const Sink*> waiting;
  };
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Pull> pulls_;
};

}  // namespace locald::builder
