#include "server/ports.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "base/fs_at.h"
#include "base/strings.h"
#include "base/sys.h"

namespace locald::server {
namespace {

Result<UniqueFd> bound(std::uint16_t port, in_addr_t address) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "socket");
  // A connection in TIME_WAIT is no listener.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in sa{};
  sa.sin_family = AF_INET;
  sa.sin_port = htons(port);
  sa.sin_addr.s_addr = htonl(address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&sa), sizeof sa) != 0)
    return Error::from_errno(errno, "bind port " + std::to_string(port));
  return fd;
}

/// Eight (v4) or thirty-two (v6) hex digits, each group of four bytes in host order.
bool read_address(std::string_view hex, bool v6, std::string& text, bool& loopback) {
  const std::size_t words = v6 ? 4 : 1;
  if (hex.size() != words * 8) return false;
  std::array<std::uint32_t, 4> raw{};
  for (std::size_t i = 0; i < words; ++i) {
    char* end = nullptr;
    const std::string part(hex.substr(i * 8, 8));
    raw[i] = static_cast<std::uint32_t>(std::strtoul(part.c_str(), &end, 16));
    if (end != part.c_str() + 8) return false;
  }
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (::inet_ntop(v6 ? AF_INET6 : AF_INET, raw.data(), out.data(), out.size()) == nullptr)
    return false;
  text = out.data();
  loopback = text.rfind("127.", 0) == 0 || text == "::1" || text.rfind("::ffff:127.", 0) == 0;
  return true;
}

std::string user_name(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry != nullptr ? entry->pw_name : std::to_string(uid);
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

/// Inodes of the sockets that `pid` has open; empty where we may not look.
std::set<ino_t> sockets_of(const std::string& pid) {
  std::set<ino_t> inodes;
  const auto dir = sys::open("/proc/" + pid + "/fd", O_RDONLY | O_DIRECTORY);
  if (!dir) return inodes;
  (void)list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    std::array<char, 64> target{};
    if (::readlinkat(dir->get(), name.c_str(), target.data(), target.size() - 1) > 0) {
      unsigned long inode = 0;
      if (std::sscanf(target.data(), "socket:[%lu]", &inode) == 1) inodes.insert(inode);
    }
    return {};
  });
  return inodes;
}

}  // namespace

Result<std::uint16_t> free_port() {
  const UniqueFd fd = TRY(bound(0, INADDR_ANY));
  sockaddr_in sa{};
  socklen_t size = sizeof sa;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&sa), &size) != 0)
    return Error::from_errno(errno, "getsockname");
  return ntohs(sa.sin_port);
}

Result<void> check_port_free(std::uint16_t port) {
  auto fd = bound(port, INADDR_ANY);
  if (fd) return {};
  if (fd.error().sys_errno() == EADDRINUSE)
    return Error(Errc::already_exists, "port " + std::to_string(port) + " is in use");
  if (fd.error().sys_errno() == EACCES)
    return Error(Errc::denied, "port " + std::to_string(port) + " needs privileges")
        .with_hint("use a port from 1024 on, or: sudo sysctl net.ipv4.ip_unprivileged_port_start=" +
                   std::to_string(port));
  return std::move(fd).error();
}

std::vector<Listener> parse_proc_net_tcp(const std::string& text, bool v6) {
  std::vector<Listener> found;
  for (const std::string& line : split(text, '\n')) {
    std::array<char, 40> address{};
    unsigned port = 0, state = 0, uid = 0;
    unsigned long inode = 0;
    if (std::sscanf(
            line.c_str(),
            " %*u: %39[0-9A-Fa-f]:%4X %*[0-9A-Fa-f]:%*4X %2X %*8X:%*8X %*2X:%*8X %*8X %u %*u %lu",
            address.data(), &port, &state, &uid, &inode) != 5)
      continue;
    constexpr unsigned kListen = 0x0A;
    Listener listener;
    if (state != kListen || port > 65535 ||
        !read_address(address.data(), v6, listener.address, listener.loopback))
      continue;
    listener.port = static_cast<std::uint16_t>(port);
    listener.inode = inode;
    listener.uid = uid;
    found.push_back(std::move(listener));
  }
  return found;
}

Result<std::vector<Listener>> listeners() {
  std::vector<Listener> all = parse_proc_net_tcp(TRY(read_file("/proc/net/tcp", 64u << 20)), false);
  if (const auto six = read_file("/proc/net/tcp6", 64u << 20)) {
    auto more = parse_proc_net_tcp(*six, true);
    all.insert(all.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  }
  return all;
}

std::optional<PortHolder> find_port_holder(std::uint16_t port) {
  const auto all = listeners();
  if (!all) return std::nullopt;
  std::set<ino_t> wanted;
  std::optional<uid_t> uid;
  for (const Listener& listener : *all) {
    if (listener.port != port) continue;
    wanted.insert(listener.inode);
    uid = listener.uid;
  }
  if (!uid) return std::nullopt;
  PortHolder holder{0, "", user_name(*uid)};
  const auto proc = sys::open("/proc", O_RDONLY | O_DIRECTORY);
  if (!proc) return holder;
  (void)list_dir(proc->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    const auto pid = parse_u64(name);
    if (!pid || holder.pid != 0) return {};
    for (const ino_t inode : sockets_of(name)) {
      if (!wanted.contains(inode)) continue;
      holder.pid = static_cast<pid_t>(*pid);
      holder.command = command_of(holder.pid);
      break;
    }
    return {};
  });
  return holder;
}

std::string to_string(const PortHolder& holder) {
  if (holder.pid == 0) return "a process of user " + holder.user;
  return "pid " + std::to_string(holder.pid) + " (" + holder.command + "), user " + holder.user;
}

std::vector<Listener> listeners_below(pid_t root, const std::vector<Listener>& all) {
  std::set<ino_t> inodes;
  std::vector<pid_t> todo{root};
  std::set<pid_t> seen;
  while (!todo.empty()) {
    const pid_t pid = todo.back();
    todo.pop_back();
    if (!seen.insert(pid).second) continue;
    inodes.merge(sockets_of(std::to_string(pid)));
    const std::string task = "/proc/" + std::to_string(pid) + "/task";
    const auto dir = sys::open(task, O_RDONLY | O_DIRECTORY);
    if (!dir) continue;
    (void)list_dir(dir->get(), [&](const std::string& tid, unsigned char) -> Result<void> {
      const auto children = read_file(task + "/" + tid + "/children", 1 << 20);
      if (children)
        for (const std::string& child : split(*children, ' '))
          if (const auto number = parse_u64(child)) todo.push_back(static_cast<pid_t>(*number));
      return {};
    });
  }
  std::vector<Listener> found;
  for (const Listener& listener : all)
    if (inodes.contains(listener.inode)) found.push_back(listener);
  return found;
}

}  // namespace locald::server
