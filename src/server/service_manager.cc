#include "server/service_manager.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "base/sys/unique_fd.h"

namespace locald::server {

ServiceManager ServiceManager::take() {
  ServiceManager manager;
  if (const char* socket = ::getenv("NOTIFY_SOCKET")) manager.socket_ = socket;
  ::unsetenv("NOTIFY_SOCKET");
  return manager;
}

void ServiceManager::tell(std::string_view state) const {
  sockaddr_un address{};
  const bool abstract = socket_.starts_with('@');
  if ((!abstract && !socket_.starts_with('/')) || socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (abstract) address.sun_path[0] = '\0';
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return;
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size() + (abstract ? 0 : 1));
  (void)!::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace locald::server
