#include "net/ports.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <set>
#include <vector>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "net/listeners.h"

namespace locald::net {
namespace {

/// A socket with `port` of all addresses of one family.
Result<UniqueFd> bound(int family, std::uint16_t port) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage sa{};
  socklen_t size = sizeof(sockaddr_in);
  sa.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET6) {
    // The other family is asked for itself: each then says what is its own.
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    reinterpret_cast<sockaddr_in6*>(&sa)->sin6_port = htons(port);
    size = sizeof(sockaddr_in6);
  } else {
    reinterpret_cast<sockaddr_in*>(&sa)->sin_port = htons(port);
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&sa), size) != 0)
    return Error::from_errno(errno, "bind port " + std::to_string(port));
  return fd;
}

Error needs_privileges(std::uint16_t port) {
  return Error(Errc::denied, "port " + std::to_string(port) + " needs privileges")
      .with_hint("use a port from 1024 on, or: sudo sysctl net.ipv4.ip_unprivileged_port_start=" +
                 std::to_string(port));
}

Result<void> check_family(int family, std::uint16_t port) {
  auto fd = bound(family, port);
  if (fd) return {};
  switch (fd.error().sys_errno()) {
    case EADDRINUSE:
      return Error(Errc::already_exists, "port " + std::to_string(port) + " is in use");
    case EACCES:
      return needs_privileges(port);
    default:
      return std::move(fd).error();
  }
}

bool has_no_ipv6(const Error& error) {
  return error.sys_errno() == EAFNOSUPPORT || error.sys_errno() == EADDRNOTAVAIL;
}

std::string user_name(uid_t uid) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return entry.pw_name;
  return std::to_string(uid);
}

std::string command_of(pid_t pid) {
  auto text = read_file("/proc/" + std::to_string(pid) + "/cmdline", 1 << 20);
  if (!text) return {};
  std::replace(text->begin(), text->end(), '\0', ' ');
  std::string command(trim(*text).substr(0, 120));
  for (char& c : command)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return command;
}

bool has_socket(const std::string& pid, ino_t inode) {
  const auto dir = sys::open("/proc/" + pid + "/fd", O_RDONLY | O_DIRECTORY);
  if (!dir) return false;
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  bool found = false;
  (void)list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    std::array<char, 64> target{};
    const ssize_t n = ::readlinkat(dir->get(), name.c_str(), target.data(), target.size());
    found =
        found || (n > 0 && wanted == std::string_view(target.data(), static_cast<std::size_t>(n)));
    return {};
  });
  return found;
}

/// The pid of one process that has the socket open; 0 where none is seen.
pid_t owner_of(ino_t inode) {
  const auto proc = sys::open("/proc", O_RDONLY | O_DIRECTORY);
  pid_t owner = 0;
  if (!proc) return owner;
  (void)list_dir(proc->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    const auto pid = parse_u64(name);
    if (pid && owner == 0 && has_socket(name, inode)) owner = static_cast<pid_t>(*pid);
    return {};
  });
  return owner;
}

PortHolder holder_of(const Listener& socket) {
  PortHolder holder;
  holder.user = user_name(socket.uid);
  holder.address = socket.address;
  holder.pid = owner_of(socket.inode);
  if (holder.pid != 0) holder.command = command_of(holder.pid);
  return holder;
}

/// Where `socket` is, no other one can listen at `at`.
bool in_the_way(const Listener& socket, const AddressAndPort& at) {
  constexpr std::string_view kMapped = "::ffff:";
  const bool mapped = socket.address.starts_with(kMapped);
  const auto its =
      IpAddress::parse(std::string_view(socket.address).substr(mapped ? kMapped.size() : 0));
  return !its || socket.dual || collide({*its, at.port}, at);
}

}  // namespace

std::uint16_t first_allowed_port() {
  // Port 1 is asked for: whether it may be had depends on more than the user (capabilities).
  const auto lowest = bound(AF_INET, 1);
  if (lowest || lowest.error().sys_errno() != EACCES) return 0;
  const auto text = read_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", 64);
  const auto first = text ? parse_u64(trim(*text)) : std::nullopt;
  return first && *first <= 0xFFFF ? static_cast<std::uint16_t>(*first) : 1024;
}

Result<void> check_port_allowed(std::uint16_t port, std::uint16_t first) {
  if (port >= first) return {};
  return needs_privileges(port);
}

Result<std::uint16_t> free_port() {
  while (true) {
    const UniqueFd fd = TRY(bound(AF_INET, 0));
    sockaddr_in sa{};
    socklen_t size = sizeof sa;
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&sa), &size) != 0)
      return Error::from_errno(errno, "getsockname");
    const std::uint16_t port = ntohs(sa.sin_port);
    const auto six = check_family(AF_INET6, port);
    if (six || has_no_ipv6(six.error())) return port;
    if (six.error().code() != Errc::already_exists) return six.error();
  }
}

Result<void> check_port_free(std::uint16_t port) {
  TRY(check_family(AF_INET, port));
  auto six = check_family(AF_INET6, port);
  if (!six && has_no_ipv6(six.error())) return {};
  return six;
}

std::optional<PortHolder> find_port_holder(std::uint16_t port, const std::set<ino_t>& among) {
  std::optional<Listener> best;
  bool best_listens = false, lingers = false;
  const auto look = [&](const TcpSocket& s) {
    if (s.local.inode == 0) {
      lingers = lingers || s.lingers;
      return;
    }
    if (!among.empty() && !among.contains(s.local.inode)) return;
    if (best && (best_listens || !s.listening)) return;
    best = s.local;
    best_listens = s.listening;
  };
  constexpr unsigned kAll = 0xfff;  // as ss(8) has it
  if (!each_tcp_socket(port, kAll, look)) {
    const auto all = listeners(port);
    if (!all) return std::nullopt;
    for (const Listener& l : *all) look({l, true, false});
  }
  if (!best) {
    if (!lingers) return std::nullopt;
    PortHolder nobody;
    nobody.lingers = true;
    return nobody;
  }
  return holder_of(*best);
}

std::optional<PortHolder> find_port_holder(const AddressAndPort& at, bool udp,
                                           const std::set<IpAddress>& but) {
  std::optional<Listener> best;
  const auto look = [&](const TcpSocket& s) {
    if (s.local.inode == 0 || !(udp || s.listening) || !in_the_way(s.local, at)) return;
    if (const auto address = IpAddress::parse(s.local.address); address && but.contains(*address))
      return;
    if (!best) best = s.local;
  };
  if (udp)
    (void)each_udp_socket(at.port, look);
  else if (const auto all = listeners(at.port))
    for (const Listener& l : *all) look({l, true, false});
  return best ? std::optional(holder_of(*best)) : std::nullopt;
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> out;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return out;
  for (const ifaddrs* each = all; each != nullptr && out.size() < 5; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    sockaddr_storage at{};
    std::memcpy(&at, each->ifa_addr, sizeof(sockaddr_in));
    if (const auto address = address_and_port(at)) out.push_back(address->address.text());
  }
  ::freeifaddrs(all);
  return out;
}

std::string to_string(const PortHolder& holder) {
  if (holder.lingers) return "connections that have ended (TIME_WAIT)";
  if (holder.pid == 0) return "a process of user " + holder.user;
  return "pid " + std::to_string(holder.pid) + " (" + holder.command + "), user " + holder.user;
}

}  // namespace locald::net
