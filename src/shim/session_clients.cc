// The session and its clients: the frames of base/log/attach_protocol.h.
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "shim/session.h"

namespace locald::shim {

FrameStatus Session::status() const {
  ShimState shown = ShimState::ending;
  if (state_.phase == Phase::starting) shown = ShimState::starting;
  if (state_.phase == Phase::running || state_.phase == Phase::killing ||
      state_.phase == Phase::killed)
    shown = ShimState::running;
  return {kAttachVersion, shown, process_->host_pid(), shim_pid_,
          shown == ShimState::starting ? 0 : started_ns_};
}

void Session::accept_client() {
  const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  Client* place = clients_.place();
  if (place == nullptr || !peer_allowed(fd, proc_, process_->contained())) {
    ::close(fd);
    return;
  }
  place->close();
  place->open(fd);
}

void Session::serve(Client& client) {
  const bool alive = client.receive();
  const char* body = nullptr;
  while (const FrameHeader* header = client.frame(&body)) {
    const std::uint32_t length = header->length;
    if (!(client.greeted ? handle(client, *header, body) : greet(client, *header, body))) break;
    if (!client.is_open()) return;
    client.consume(length);
  }
  if (!alive) client.close();
}

/// The first frame: `hello`, or the connection is closed. True.
bool Session::greet(Client& client, const FrameHeader& header, const char* body) {
  FrameHello hello{};
  if (static_cast<Frame>(header.type) == Frame::hello && header.length == sizeof hello)
    std::memcpy(&hello, body, sizeof hello);
  if (hello.version == kAttachVersion && hello.role == AttachRole::identify) {
    client.send(Frame::identity, record_.text(), record_.size());
    return client.close(), true;
  }
  if (hello.version != kAttachVersion ||
      std::memcmp(hello.nonce, spec_->nonce, sizeof hello.nonce) != 0)
    return client.close(), true;
  client.greeted = true;
  client.role = hello.role == AttachRole::control ? AttachRole::control : AttachRole::attach;
  if (clients_.all_attached()) return client.close(), true;
  const FrameStatus now = status();
  client.send(Frame::status, &now, sizeof now);
  if (client.role == AttachRole::attach && state_.hold) {
    client.is_output = true;
    apply(step(state_, event::OutputTaken{}));
  }
  return true;
}

/// False: the frame cannot be dealt with yet (stdin is full).
bool Session::handle(Client& client, const FrameHeader& header, const char* body) {
  const auto type = static_cast<Frame>(header.type);
  auto is = [&](Frame wanted, std::size_t size) { return type == wanted && header.length == size; };
  std::int32_t number = 0;
  if (is(Frame::signal, sizeof number)) {
    std::memcpy(&number, body, sizeof number);
    if (number > 0 && number <= 64) process_->signal(number);
  } else if (is(Frame::stop, sizeof(FrameStop)) && client.role == AttachRole::control) {
    FrameStop asked{};
    std::memcpy(&asked, body, sizeof asked);
    stop(asked.signal != 0 ? asked.signal : spec_->stop_signal, asked.timeout_ms);
  } else if (type == Frame::folder && client.role == AttachRole::control) {
    take_folder(client);
  } else if (is(Frame::resize, sizeof(FrameResize))) {
    FrameResize size{};
    std::memcpy(&size, body, sizeof size);
    stdio_.resize(size.rows, size.columns);
  } else if (type == Frame::in) {
    if (state_.phase == Phase::starting && stdio_.awaits_terminal())  // typed ahead
      return stdio_.hold_input(), false;
    return stdio_.write(body, header.length, client.frame_done);
  } else if (type == Frame::in_end) {
    stdio_.end_input();
  }
  return true;
}

/// The folder that we have is deleted, or will be of no use: its successor has all but the socket.
void Session::take_folder(Client& client) {
  const int given = client.passed;
  if (given < 0) return;
  client.passed = -1;
  const int listener = listen_control(given);
  (void)!::chdir("/");
  if (listener < 0) {
    ::close(given);
    return;
  }
  if (listener_ >= 0) ::close(listener_);
  ::close(folder_);
  listener_ = listener;
  folder_ = given;
}

}  // namespace locald::shim
