// What an earlier server has left of a project's network: its netd, or what shims hold of it.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "net/netd_start.h"
#include "net/sandbox/netd_sockets.h"
#include "server/networks/project_network.h"

namespace locald::server {
namespace {

/// What a shim of a service holds: the namespace that it is in, and the sandbox that this one is
/// connected to, which it keeps open (shim/protocol.h, key "netns").
std::optional<std::pair<UniqueFd, UniqueFd>> namespaces_of(int shim) {
  const std::string proc = "/proc/" + std::to_string(shim);
  auto own = sys::open(proc + "/ns/net", O_RDONLY);
  struct stat mine {
  }, here{};
  if (!own || ::fstat(own->get(), &mine) != 0 || ::stat("/proc/self/ns/net", &here) != 0 ||
      mine.st_ino == here.st_ino)
    return std::nullopt;
  const auto fds = sys::open(proc + "/fd", O_RDONLY | O_DIRECTORY);
  if (!fds) return std::nullopt;
  std::optional<UniqueFd> sandbox;
  (void)list_dir(fds->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    std::array<char, 64> target{};
    const ssize_t n = ::readlinkat(fds->get(), name.c_str(), target.data(), target.size());
    if (n < 5 || std::string_view(target.data(), 5) != "net:[") return {};
    auto fd = sys::openat(fds->get(), name.c_str(), O_RDONLY);
    struct stat st {};
    if (fd && ::fstat(fd->get(), &st) == 0 && st.st_ino != mine.st_ino) sandbox = std::move(*fd);
    return {};
  });
  if (!sandbox) return std::nullopt;
  return std::pair(std::move(*own), std::move(*sandbox));
}

bool same_file(int one, int other) {
  struct stat a {
  }, b{};
  return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_ino == b.st_ino &&
         a.st_dev == b.st_dev;
}

/// As NetdPlan has them for a network.
NetdNetwork sockets_of(const std::vector<UniqueFd>& fds) {
  NetdNetwork out;
  for (const UniqueFd& fd : fds) {
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0) continue;
    const auto where = net::address_and_port(at);
    if (!where) continue;
    out.relays = out.relays || where->port == net::kRelayPort;
    if (std::find(out.addresses.begin(), out.addresses.end(), where->address) ==
        out.addresses.end())
      out.addresses.push_back(where->address);
  }
  return out;
}

}  // namespace

void ProjectNetwork::adopt(std::map<std::string, int> shims) {
  const std::lock_guard lock(wanted_mutex_);
  if (to_adopt_) shims.merge(*to_adopt_);
  to_adopt_ = std::move(shims);
}

void ProjectNetwork::adopt_now() {
  const Wanted wanted = this->wanted();
  std::optional<std::map<std::string, int>> shims;
  {
    const std::lock_guard lock(wanted_mutex_);
    shims.swap(to_adopt_);
  }
  if (!shims || wanted.plan == nullptr) return;
  const net::Layout& layout = wanted.plan->layout;
  const auto keep = [&](const std::string& service, UniqueFd netns) {
    members_[service] = {
        std::make_shared<const UniqueFd>(std::move(netns)), layout.links(service), {}, false};
  };
  // One that nobody has told of yet (a container that joined) comes with the next adoption.
  const std::vector<std::string> containers = layout.containers();
  const std::set<std::string> known(containers.begin(), containers.end());
  if (sandbox_ == nullptr) adopt_netd(known, keep);
  // What no netd has told of.
  for (const auto& [service, pid] : *shims) {
    if (members_.contains(service)) continue;
    auto held = namespaces_of(pid);
    if (!held || !deps_.user_namespace.owns(held->second.get())) continue;
    if (sandbox_ == nullptr)
      sandbox_ = std::make_shared<const UniqueFd>(std::move(held->second));
    else if (!same_file(sandbox_->get(), held->second.get()))
      continue;  // of an earlier network
    keep(service, std::move(held->first));
  }
  adopt_plugins();
  if (sandbox_ == nullptr || pasta_) return;
  if (auto pasta = Pasta::find(deps_.paths, project_)) {
    pasta_ = std::move(*pasta);
    keep_uplink();
  }
}

void ProjectNetwork::adopt_netd(const std::set<std::string>& known,
                                const std::function<void(const std::string&, UniqueFd)>& keep) {
  auto netd = Netd::find(deps_.paths, project_);
  auto sandbox = netd ? netd->connections().sandbox() : Result<UniqueFd>(netd.error());
  auto sockets = netd ? netd->connections().hand_over() : Result<net::NetdSockets>(netd.error());
  const auto version = netd ? netd->connections().version() : Result<int>(netd.error());
  if (!sandbox || !sockets || !version || !deps_.user_namespace.owns(sandbox->get()))
    // One that cannot be spoken to: a new one takes its place.
    return Netd::end_all(deps_.paths, project_);
  sandbox_ = std::make_shared<const UniqueFd>(std::move(*sandbox));
  if (*version != net::kNetdVersion) {
    // One that cannot be driven hands its sockets to a new one: no port closes.
    before_ = std::move(*netd);
    sockets_ = std::move(sockets->networks);
    reserved_ = std::move(sockets->ports);
    for (auto& [service, fds] : sockets->services) {
      if (!known.contains(service) || fds.empty()) continue;
      keep(service, UniqueFd(::fcntl(fds.front().get(), F_DUPFD_CLOEXEC, 0)));
      members_[service].sockets = std::move(fds);
    }
    return;
  }
  netd_ = std::move(*netd);
  for (const auto& [number, fds] : sockets->networks) networks_[number] = sockets_of(fds);
  for (const auto& [key, fd] : sockets->ports) ports_.insert(key);
  for (auto& [service, fds] : sockets->services) {
    if (!known.contains(service)) continue;
    services_.insert(service);
    if (!fds.empty()) keep(service, std::move(fds.front()));
  }
  keep_netd();
}

}  // namespace locald::server
