#include "server/networks/project_network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/networks/network_job.h"

namespace locald::server {
namespace {

/// No start waits for netd, and netd for none longer than this.
constexpr std::chrono::milliseconds kAttachFirst{100};

bool ended(int pidfd) {
  pollfd look{pidfd, POLLIN, 0};
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
    : deps_(std::move(deps)),
      project_(std::move(project)),
      places_({deps_.environment, deps_.cni, deps_.log}, deps_.paths, project_) {}

void ProjectNetwork::define(std::shared_ptr<const NetworkPlan> plan) {
  const std::lock_guard lock(wanted_mutex_);
  defined_ = std::move(plan);
  plan_with_found();
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
  ++attaching_;
  const std::lock_guard lock(mutex_);
  --attaching_;
  attached_.notify_all();
  adopt_now();
  Wanted wanted = this->wanted();
  if (wanted.plan == nullptr)
    return Error(Errc::cancelled, "project " + project_ + " has no network");
  const std::string member = wanted.plan->member(service);
  TRY(check_plugins(wanted, member, stop));
  TRY(make(wanted, member, stop));
  if (TRY(reserve(*wanted.plan, service))) {
    if (deps_.behind) deps_.behind();
  } else {
    TRY(start_netd());
    TRY(tell(wanted, service));
  }
  net::Attachment out = wanted.plan->layout.attachment(member);
  out.netns = members_.at(member).netns;
  out.sandbox = sandbox_;
  return out;
}

/// What `service` needs and is not there, and, the first time, what the others will need.
Result<void> ProjectNetwork::make(Wanted& wanted, const std::string& service,
                                  const std::stop_token& stop) {
  const bool first = sandbox_ == nullptr;
  TRY(make_parts(wanted, service, stop));
  if (wanted.plan->plugins.empty() && places_.all().empty()) return {};
  const auto done = connect_plugins(wanted, service, first, stop);
  wanted.plan = this->wanted().plan;
  if (wanted.plan == nullptr)
    return Error(Errc::cancelled, "project " + project_ + " has no network");
  TRY(done);
  // Rules and sockets for what the plugins have made.
  return make_parts(wanted, service, stop);
}

Result<void> ProjectNetwork::make_parts(const Wanted& wanted, const std::string& service,
                                        const std::stop_token& stop) {
  const net::Layout& layout = wanted.plan->layout;
  if (netd_ && ended(netd_->pidfd())) {
    netd_.reset();
    forget_netd();
  }
  // One of before, of services that nobody has managed since, is this project's no more.
  if (sandbox_ == nullptr) {
    Netd::end_all(deps_.paths, project_);
    Pasta::end_left(deps_.paths, project_);
  }
  if (netd_is_in_the_way(layout)) {
    if (netd_) netd_->end();
    if (before_) Netd::end_all(deps_.paths, project_);
    netd_.reset();
    before_.reset();
    forget_netd();
  }
  WantedNetwork made{layout, sandbox_, {}, {}, fmt::format("x{:x}", ++tag_)};
  for (const auto& network : layout.netd_networks())
    if (!networks_.contains(network.number) && !sockets_.contains(network.number))
      made.sockets.insert(network.number);
  for (const auto& [name, member] : members_)
    // Those that netd has stay: others in their place would take the service's DNS away from it.
    if (const bool lost = !services_.contains(name) && member.sockets.empty();
        lost || !member.probed)
      made.services[name] = {member.netns, lost};
  const auto lacks = [&](const std::string& name) {
    const auto known = members_.find(name);
    return known == members_.end() || !same_links(known->second.links, layout.links(name));
  };
  if (!service.empty() && lacks(service)) made.services[service] = {};
  if (sandbox_ == nullptr)
    for (const std::string& other : layout.containers()) made.services[other] = {};
  if (sandbox_ == nullptr || !made.sockets.empty() || !made.services.empty()) {
    MadeNetwork done = TRY(make_network(deps_.environment, std::move(made), stop));
    sandbox_ = done.sandbox;
    for (auto& [name, one] : done.services) {
      Member& member = members_[name];
      if (!one.known) {
        replaced_ = services_.erase(name) != 0 || replaced_;
        member.netns = std::move(one.netns);
        member.links = layout.links(name);
      }
      member.sockets = std::move(one.sockets);
      member.probed = true;
      keep_probe(name, std::move(one.probe));
    }
    for (auto& [number, fds] : done.sockets)
      if (!networks_.contains(number)) sockets_[number] = std::move(fds);
  }
  return start_uplink(*wanted.plan);
}

/// netd keeps a network's sockets for good: one with other addresses, or one that has got the address
/// of an earlier one, is for another netd.
bool ProjectNetwork::netd_is_in_the_way(const net::Layout& layout) const {
  const auto wanted = layout.netd_networks();
  for (const auto& network : wanted)
    if (const auto known = networks_.find(network.number); known != networks_.end()) {
      if (known->second.addresses != network.addresses ||
          (network.relays && !network.addresses.empty() && !known->second.relays))
        return true;
    } else {
      for (const auto& [number, other] : networks_)
        for (const net::IpAddress& address : network.addresses)
          if (std::find(other.addresses.begin(), other.addresses.end(), address) !=
              other.addresses.end())
            return true;
    }
  return false;
}

Result<void> ProjectNetwork::start_netd() {
  if (netd_) return {};
  netd_ = TRY(Netd::start({.paths = deps_.paths,
                           .program = deps_.netd,
                           .project = project_,
                           .sandbox = sandbox_->get(),
                           .user_namespace = TRY(deps_.user_namespace.fd()),
                           .before = before_ ? &*before_ : nullptr}));
  keep_netd();
  return {};
}

void ProjectNetwork::keep_netd() {
  netd_pid_ = netd_->pid();
  if (deps_.started) deps_.started(UniqueFd(::fcntl(netd_->pidfd(), F_DUPFD_CLOEXEC, 0)));
}

Result<void> ProjectNetwork::update(const std::stop_token& stop) {
  // Made beside what else a start needs, images above all; not for those who are down.
  const auto is_wanted = [&](const Wanted& wanted) {
    if (wanted.plan == nullptr) return false;
    const std::vector<std::string> containers = wanted.plan->layout.containers();
    return sandbox_ != nullptr ||
           std::any_of(containers.begin(), containers.end(), [&](const std::string& service) {
             const auto gate = wanted.gates.find(service);
             return gate != wanted.gates.end() && gate->second != Gate::closed;
           });
  };
  {
    const std::lock_guard lock(mutex_);
    adopt_now();
    Wanted wanted = this->wanted();
    if (!is_wanted(wanted)) return {};
    TRY(make(wanted, {}, stop));
  }
  // Starts that wait for no more than that continue.
  std::unique_lock lock(mutex_);
  attached_.wait_for(lock, kAttachFirst, [&] { return attaching_ == 0; });
  Wanted wanted = this->wanted();
  if (!is_wanted(wanted)) return {};
  TRY(make(wanted, {}, stop));
  TRY(start_netd());
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
  const std::string& member = wanted_.plan->member(service);
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
  reserved_.clear();
  for (auto& [name, member] : members_) member.sockets.clear();
}

void ProjectNetwork::end() {
  const std::lock_guard lock(mutex_);
  adopt_now();
  places_.end(sandbox_ == nullptr ? -1 : sandbox_->get());
  {
    const std::lock_guard wanted(wanted_mutex_);
    wanted_ = {};
    defined_.reset();
    found_.clear();
    probes_.clear();
    lacking_.clear();
  }
  if (pasta_) pasta_->end();
  pasta_.reset();
  Pasta::end_left(deps_.paths, project_);
  if (netd_) netd_->end();
  if (before_) Netd::end_all(deps_.paths, project_);  // its place has not been taken yet
  netd_.reset();
  before_.reset();
  forget_netd();
  sandbox_.reset();
  members_.clear();
}

}  // namespace locald::server
