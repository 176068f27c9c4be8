#include "runtime/runtime_fixture.h"

#include <poll.h>
#include <sys/socket.h>

namespace locald::runtime {

bool Attached::next(FrameHeader& header, std::string& body, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    if (buffer_.size() >= sizeof header) {
      std::memcpy(&header, buffer_.data(), sizeof header);
      if (buffer_.size() >= sizeof header + header.length) {
        body = buffer_.substr(sizeof header, header.length);
        buffer_.erase(0, sizeof header + header.length);
        const auto type = static_cast<Frame>(header.type);
        if (type == Frame::out) out += body;
        if (type == Frame::err) err += body;
        if (type == Frame::lost) lost = true;
        if (type == Frame::exited || type == Frame::failed) {
          exit.emplace();
          std::memcpy(&*exit, body.data(), sizeof(FrameExit));
          exit_text = body.substr(sizeof(FrameExit));
          failed = type == Frame::failed;
        }
        return true;
      }
    }
    if (ended || !fd_) return false;
    const auto left =
        std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd readable{fd_.get(), POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(left)) <= 0) return false;
    char chunk[65536];
    const ssize_t n = ::recv(fd_.get(), chunk, sizeof chunk, 0);
    if (n <= 0)
      ended = true;
    else
      buffer_.append(chunk, static_cast<std::size_t>(n));
  }
}

}  // namespace locald::runtime
