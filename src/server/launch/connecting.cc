#include "server/launch/connecting.h"

#include <utility>

namespace locald::server {

Connecting::Connecting(Attach attach, const std::stop_token& stop)
    : call_off_(stop,
                [this] {
                  own_.request_stop();
                  rest_.request_stop();
                }),
      attached_(std::async(std::launch::async, [this, attach = std::move(attach)] {
        auto attached = attach(own_.get_token());
        if (!attached) rest_.request_stop();
        return attached;
      })) {}

Connecting::~Connecting() {
  own_.request_stop();
  attached_.wait();
}

std::optional<Error> Connecting::failure() const {
  const auto& attached = attached_.get();
  return attached ? std::nullopt : std::optional(attached.error());
}

Result<std::unique_ptr<runtime::ServiceHandle>> start_connected(
    const Connecting::Attach& attach, builder::PrepareContext context,
    const std::function<Result<std::unique_ptr<runtime::ServiceHandle>>(
        const builder::PrepareContext& context)>& run) {
  if (!attach) return run(context);
  Connecting connecting(attach, context.stop);
  context.connect = [&connecting] { return connecting.wait(); };
  context.stop = connecting.stop();
  auto started = run(context);
  if (!started)
    if (auto failure = connecting.failure()) return std::move(*failure);
  return started;
}

}  // namespace locald::server
