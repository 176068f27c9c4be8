#include "server/service_manager.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "base/sys/unique_fd.h"

namespace locald::server {
namespace {

/// A manager's end, bound to `name`; '@' begins an abstract one.
UniqueFd listen_at(const std::string& name) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0) << name;
  return fd;
}

std::string heard(const UniqueFd& fd) {
  std::array<char, 64> buffer{};
  const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : "";
}

TEST(ServiceManager, HearsThatTheServerIsReadyAndThatItStops) {
  const std::string path = "/tmp/locald-notify-" + std::to_string(::getpid());
  for (const std::string& name : {path, "@locald-notify-" + std::to_string(::getpid())}) {
    const UniqueFd fd = listen_at(name);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    const auto manager = ServiceManager::take();
    EXPECT_EQ(::getenv("NOTIFY_SOCKET"), nullptr) << "children would answer for the server";
    EXPECT_EQ(heard(fd), "");
    manager.ready();
    EXPECT_EQ(heard(fd), "READY=1\n") << name;
    manager.stopping();
    EXPECT_EQ(heard(fd), "STOPPING=1\n") << name;
  }
  ::unlink(path.c_str());
}

TEST(ServiceManager, NobodyWhoWaitsIsNotAnError) {
  ::unsetenv("NOTIFY_SOCKET");
  ServiceManager::take().ready();
  for (const char* name : {"", "relative", "/nonexistent/socket"}) {
    ::setenv("NOTIFY_SOCKET", name, 1);
    ServiceManager::take().ready();
  }
  ::setenv("NOTIFY_SOCKET", std::string(300, '/').c_str(), 1);
  ServiceManager::take().ready();
}

}  // namespace
}  // namespace locald::server
