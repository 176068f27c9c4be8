#include "server/networks/project_network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "net/netd_start.h"
#include "net/sandbox/netd_sockets.h"
#include "server/networks/network_job.h"

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

bool ended(const Netd& netd) {
  pollfd look{netd.pidfd(), POLLIN, 0};
  return ::poll(&look, 1, 0) > 0;
}

bool same_links(const std::vector<net::Link>& one, const std::vector<net::Link>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const net::Link& a, const net::Link& b) {
                      return a.bridge == b.bridge && a.addresses == b.addresses &&
                             a.routes == b.routes;
                    });
}

}  // namespace

ProjectNetwork::ProjectNetwork(Deps deps, std::string project)
    : deps_(std::move(deps)), project_(std::move(project)) {}

void ProjectNetwork::define(std::shared_ptr<const NetworkPlan> plan) {
  const std::lock_guard lock(wanted_mutex_);
  wanted_.plan = std::move(plan);
}

bool ProjectNetwork::set_gate(const std::string& service, Gate gate) {
  const std::lock_guard lock(wanted_mutex_);
  Gate& known = wanted_.gates[service];
  return std::exchange(known, gate) != gate;
}

bool ProjectNetwork::set_listener(const std::string& service,
                                  std::optional<HostListener> listener) {
  const std::lock_guard lock(wanted_mutex_);
  if (!listener) return wanted_.listeners.erase(service) != 0;
  const auto known = wanted_.listeners.find(service);
  if (known != wanted_.listeners.end() && known->second == *listener) return false;
  wanted_.listeners[service] = std::move(*listener);
  return true;
}

ProjectNetwork::Wanted ProjectNetwork::wanted() const {
  const std::lock_guard lock(wanted_mutex_);
  return wanted_;
}

Result<net::Attachment> ProjectNetwork::attach(const std::string& service,
                                               const std::stop_token& stop) {
  {
    const std::lock_guard lock(wanted_mutex_);
    Gate& gate = wanted_.gates[service];
    if (gate == Gate::closed) gate = Gate::reset;  // whatever has been heard of its state
  }
  const std::lock_guard lock(mutex_);
  adopt_now();
  const Wanted wanted = this->wanted();
  if (wanted.plan == nullptr)
    return Error(Errc::cancelled, "project " + project_ + " has no network");
  const auto shared = wanted.plan->shared.find(service);
  const std::string& member = shared == wanted.plan->shared.end() ? service : shared->second;
  TRY(make(wanted, member, stop));
  TRY(tell(wanted, service));
  net::Attachment out = wanted.plan->layout.attachment(member);
  out.netns = members_.at(member).netns;
  out.sandbox = sandbox_;
  return out;
}

/// What `service` needs and is not there, and, the first time, what the others will need. Without
/// a service: a netd alone.
Result<void> ProjectNetwork::make(const Wanted& wanted, const std::string& service,
                                  const std::stop_token& stop) {
  const net::Layout& layout = wanted.plan->layout;
  if (netd_ && ended(*netd_)) netd_.reset();
  if (!netd_) forget_netd();
  WantedNetwork made{layout, sandbox_, false, {}, fmt::format("x{:x}", ++tag_)};
  for (const auto& network : layout.netd_networks())
    made.sockets =
        made.sockets || (!networks_.contains(network.number) && !sockets_.contains(network.number));
  for (const auto& [name, member] : members_)
    if (!member.probed || (!services_.contains(name) && member.sockets.empty()))
      made.services[name] = member.netns;
  const auto lacks = [&](const std::string& name) {
    const auto known = members_.find(name);
    return known == members_.end() || !same_links(known->second.links, layout.links(name));
  };
  if (!service.empty() && lacks(service)) made.services[service] = nullptr;
  if (sandbox_ == nullptr)
    for (const std::string& other : layout.containers()) made.services[other] = nullptr;
  if (sandbox_ == nullptr || made.sockets || !made.services.empty()) {
    MadeNetwork done = TRY(make_network(deps_.environment, std::move(made), stop));
    sandbox_ = done.sandbox;
    for (auto& [name, one] : done.services) {
      Member& member = members_[name];
      if (!one.known) replaced_ = services_.erase(name) != 0 || replaced_;
      member = {std::move(one.netns), layout.links(name), std::move(one.sockets), true};
      keep_probe(name, std::move(one.probe));
    }
    for (auto& [number, fds] : done.sockets)
      if (!networks_.contains(number)) sockets_[number] = std::move(fds);
  }
  if (netd_) return {};
  netd_ = TRY(Netd::start({.paths = deps_.paths,
                           .program = deps_.netd,
                           .project = project_,
                           .sandbox = sandbox_->get(),
                           .user_namespace = TRY(deps_.user_namespace.fd())}));
  keep_netd();
  return {};
}

void ProjectNetwork::keep_netd() {
  netd_pid_ = netd_->pid();
  if (deps_.started) deps_.started(UniqueFd(::fcntl(netd_->pidfd(), F_DUPFD_CLOEXEC, 0)));
}

Result<void> ProjectNetwork::update(const std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  adopt_now();
  const Wanted wanted = this->wanted();
  if (wanted.plan == nullptr) return {};
  // Made beside what else a start needs, images above all; not for those who are down.
  const auto wants = [&](const std::string& service) {
    const auto gate = wanted.gates.find(service);
    return gate != wanted.gates.end() && gate->second != Gate::closed;
  };
  const std::vector<std::string> containers = wanted.plan->layout.containers();
  if (sandbox_ == nullptr && std::none_of(containers.begin(), containers.end(), wants)) return {};
  TRY(make(wanted, {}, stop));
  return tell(wanted, {});
}

void ProjectNetwork::keep_probe(const std::string& service, net::ProbeSocket probe) {
  const std::lock_guard lock(wanted_mutex_);
  probes_[service] = std::move(probe);
}

Result<ProjectNetwork::ProbePlace> ProjectNetwork::probe_place(const std::string& service,
                                                               const std::string& host) const {
  const std::lock_guard lock(wanted_mutex_);
  const Error absent(Errc::unavailable, service + " is not connected");
  if (wanted_.plan == nullptr) return absent;
  const auto shared = wanted_.plan->shared.find(service);
  const std::string& member = shared == wanted_.plan->shared.end() ? service : shared->second;
  const auto probe = probes_.find(member);
  if (probe == probes_.end()) return absent;
  if (host == "localhost" || net::IpAddress::parse(host)) return ProbePlace{probe->second, host};
  const auto address = wanted_.plan->layout.address_for(member, host.empty() ? member : host);
  if (!address) return Error(Errc::not_found, service + " is in no network together with " + host);
  return ProbePlace{probe->second, address->text()};
}

void ProjectNetwork::forget_netd() {
  networks_.clear();
  services_.clear();
  ports_.clear();
  sockets_.clear();
  for (auto& [name, member] : members_) member.sockets.clear();
}

void ProjectNetwork::adopt(std::map<std::string, int> shims) {
  const std::lock_guard lock(wanted_mutex_);
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
  if (auto netd = Netd::find(deps_.paths, project_)) {
    auto sandbox = netd->connections().sandbox();
    auto sockets = netd->connections().hand_over();
    const bool known = netd->connections().version().value_or(0) == net::kNetdVersion;
    if (sandbox && sockets && known) {
      sandbox_ = std::make_shared<const UniqueFd>(std::move(*sandbox));
      netd_ = std::move(*netd);
      for (const auto& [number, fds] : sockets->networks) networks_.insert(number);
      for (const auto& [key, fd] : sockets->ports) ports_.insert(key);
      for (auto& [service, fds] : sockets->services) {
        services_.insert(service);
        if (!fds.empty()) keep(service, std::move(fds.front()));
      }
      keep_netd();
      return;
    }
    netd->end();
  }
  for (const auto& [service, pid] : *shims) {
    auto held = namespaces_of(pid);
    if (!held) continue;
    sandbox_ = std::make_shared<const UniqueFd>(std::move(held->second));
    keep(service, std::move(held->first));
  }
}

void ProjectNetwork::end() {
  const std::lock_guard lock(mutex_);
  adopt_now();
  {
    const std::lock_guard wanted(wanted_mutex_);
    wanted_ = {};
    probes_.clear();
    lacking_.clear();
  }
  if (netd_) netd_->end();
  netd_.reset();
  forget_netd();
  sandbox_.reset();
  members_.clear();
}

}  // namespace locald::server
