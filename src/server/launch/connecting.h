#pragma once
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>

#include "base/result.h"
#include "builder/bundle_source.h"
#include "net/network.h"
#include "runtime/service_handle.h"

namespace locald::server {

/// The network of a service, made beside the rest of its start, which may take longer (an image
/// that is pulled) or needs it only in the end. Of one thread.
class Connecting {
 public:
  using Attach = std::function<Result<net::Attachment>(const std::stop_token& stop)>;

  /// Begins. @param attach  on a thread of its own  @param stop  calls both off
  Connecting(Attach attach, const std::stop_token& stop);
  /// Calls it off, and waits for its end.
  ~Connecting();

  /// For the rest of the start: also where the network cannot be made.
  std::stop_token stop() const { return rest_.get_token(); }
  /// Waits for the network.
  Result<net::Attachment> wait() { return attached_.get(); }
  /// Why the rest was called off, once it has ended: the network could not be made.
  std::optional<Error> failure() const;

 private:
  std::stop_source own_, rest_;
  std::stop_callback<std::function<void()>> call_off_;
  std::shared_future<Result<net::Attachment>> attached_;
};

/// Starts a container by `run`, its network being made beside that; nothing to attach: `run` alone.
/// @return what `run` says, or why there is no network
Result<std::unique_ptr<runtime::ServiceHandle>> start_connected(
    const Connecting::Attach& attach, builder::PrepareContext context,
    const std::function<Result<std::unique_ptr<runtime::ServiceHandle>>(
        const builder::PrepareContext& context)>& run);

}  // namespace locald::server
