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
        if (!attached) {
          failure_ = attached.error();
          rest_.request_stop();
        }
        return attached;
      })) {}

Connecting::~Connecting() {
  own_.request_stop();
  if (attached_.valid()) attached_.wait();
}

std::optional<Error> Connecting::failure() const {
  if (attached_.valid()) attached_.wait();
  return failure_;
}

}  // namespace locald::server
