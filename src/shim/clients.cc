#include "shim/clients.h"

#include <poll.h>

#include <cerrno>

#include "shim/kernel.h"

namespace locald::shim {
namespace {

constexpr int kFlushLimitMs = 1'000;  // for clients that are only watching

}  // namespace

void ClientSet::open_control(int fd) {
  clients_[0].open(fd);
  clients_[0].greeted = true;
  clients_[0].role = AttachRole::control;
}

Client* ClientSet::place() {
  for (Client& client : clients_)
    if (!client.is_open()) return &client;
  for (int tries = 0; tries < kPlaces; ++tries) {
    Client& client = clients_[next_silent_];
    next_silent_ = (next_silent_ + 1) % kPlaces;
    if (client.greeted) continue;
    return &client;
  }
  return nullptr;
}

bool ClientSet::all_attached() const {
  int attached = 0;
  for (const Client& client : clients_)
    if (client.is_open() && client.greeted && client.role == AttachRole::attach) ++attached;
  return attached == kPlaces;
}

bool ClientSet::output_pending() const {
  for (const Client& client : clients_)
    if (client.is_open() && client.is_output && client.pending()) return true;
  return false;
}

void ClientSet::broadcast(Frame type, const void* data, std::size_t size, const void* more,
                          std::size_t more_size) {
  for (Client& client : clients_)
    if (client.is_open() && client.greeted) client.send(type, data, size, more, more_size);
}

void ClientSet::send_output(LogStream stream, const char* data, std::size_t size) {
  for (Client& client : clients_)
    if (client.is_open() && client.greeted && client.role == AttachRole::attach)
      client.send(stream == LogStream::err ? Frame::err : Frame::out, data, size);
}

void ClientSet::linger() {
  const std::int64_t deadline = monotonic_ms() + kFlushLimitMs;
  for (;;) {
    const std::int64_t now = monotonic_ms();
    pollfd fds[kPlaces];
    int waiting = 0;
    bool unbounded = false;
    for (int i = 0; i < kPlaces; ++i) {
      Client& client = clients_[i];
      fds[i] = {-1, POLLOUT, 0};
      if (!client.is_open() || !client.pending()) continue;
      if (!client.is_output && now >= deadline) continue;
      unbounded = unbounded || client.is_output;
      fds[i].fd = client.fd();
      ++waiting;
    }
    if (waiting == 0) return;
    const std::int64_t left = deadline > now ? deadline - now : unbounded ? -1 : 0;
    if (::poll(fds, kPlaces, static_cast<int>(left)) < 0 && errno != EINTR) return;
    for (int i = 0; i < kPlaces; ++i)
      if (fds[i].fd >= 0 && fds[i].revents != 0) clients_[i].flush();
  }
}

}  // namespace locald::shim
