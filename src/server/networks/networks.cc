#include "server/networks/networks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/transient.h"

namespace locald::server {
namespace {

constexpr std::chrono::seconds kStays{10};  // a netd that runs so long does not end at once

}  // namespace

Networks::Networks(Deps deps, NetworkRegistry registry)
    : deps_(std::move(deps)), registry_(std::move(registry)) {
  jobs_.emplace(deps_.loop, 4);
}

NetworkRegistry::Project Networks::numbers(const std::string& project,
                                           const Services& services) const {
  std::set<std::string> networks, names;
  for (const auto& [name, config] : services) {
    names.insert(name);
    for (const project::MemberConfig& member : config->networks)
      networks.insert(network_key(member));
  }
  if (const auto guests = expected_.find(project); guests != expected_.end())
    names.insert(guests->second.begin(), guests->second.end());
  return registry_.assigned(project, networks, names, /*fresh=*/find(project) == nullptr);
}

Result<std::shared_ptr<const NetworkPlan>> Networks::plan(const std::string& project,
                                                          const NetworkRegistry::Project& numbers,
                                                          const Services& services,
                                                          net::Layout::Misfit* misfit) const {
  return std::make_shared<const NetworkPlan>(
      TRY(plan_network(services, numbers, range_v6(project), misfit)));
}

Result<void> Networks::check(const std::string& project, const Services& services,
                             net::Layout::Misfit& misfit) const {
  if (!any_in_networks(services)) return {};
  (void)TRY(plan(project, numbers(project, services), services, &misfit));
  return {};
}

const Networks::Services* Networks::services(const std::string& project) const {
  const auto live = live_.find(project);
  return live == live_.end() ? nullptr : &live->second.services;
}

Result<void> Networks::set_guest(const std::string& project, const std::string& name,
                                 std::shared_ptr<const project::ServiceConfig> guest) {
  const auto live = live_.find(project);
  if (live == live_.end())
    return Error(Errc::cancelled, "project " + project + " has no network any more")
        .with_hint("bring it up: locald -p " + project + " up");
  Services guests = live->second.guests;
  guests.erase(name);
  if (const auto expected = expected_.find(project); expected != expected_.end())
    expected->second.erase(name);
  if (guest != nullptr) guests.emplace(name, std::move(guest));
  return redefine(project, live->second.services, std::move(guests));
}

/// Of one that there is.
Result<void> Networks::redefine(const std::string& project, Services services, Services guests) {
  Services all = services;
  all.insert(guests.begin(), guests.end());
  const NetworkRegistry::Project numbers = this->numbers(project, all);
  auto wanted = TRY(plan(project, numbers, all));
  TRY(registry_.set(project, numbers));
  Live& live = live_.at(project);
  live.services = std::move(services);
  live.guests = std::move(guests);
  const auto before = live.network->plan();
  live.network->define(std::move(wanted));
  // With what plugins have made of it already.
  const auto now = live.network->plan();
  if (before != nullptr && now != nullptr) rename(project, *before, *now);
  update(project);
  return {};
}

bool Networks::try_ports(const std::string& project, PortTrial trial,
                         std::function<void(Result<void>)> done) {
  if (trial.wanted.empty()) return false;
  jobs_->run<Result<void>>(
      "try ports of " + project,
      [explain = deps_.explain, trial = std::move(trial)](const std::stop_token&) {
        return server::try_ports(trial, explain);
      },
      std::move(done));
  return true;
}

void Networks::when_updated(const std::string& project,
                            std::function<void(const Result<void>&)> done) {
  if (find(project) == nullptr) return done({});
  Live& live = live_.at(project);
  if (!live.updating) return done({});
  live.after.push_back(std::move(done));
}

/// What runs has the names of before in its /etc/hosts.
void Networks::rename(const std::string& project, const NetworkPlan& before,
                      const NetworkPlan& now) {
  std::vector<NamedContainer> containers = renamed(deps_.running(project), before, now);
  if (containers.empty()) return;
  jobs_->run<int>(
      "names of " + project,
      [this, network = find(project), containers = std::move(containers)](const std::stop_token&) {
        // With the plan of that time: of several of these jobs the last one counts.
        const std::lock_guard lock(hosts_mutex_);
        const auto plan = network->plan();
        if (plan == nullptr) return 0;
        for (const NamedContainer& each : containers) {
          const std::string path = each.bundle + "/hosts";
          if (auto written = rewrite(path, hosts_of(each.service, *plan));
              !written && written.error().code() != Errc::not_found)
            deps_.log(path + ": " + written.error().text());
        }
        return 0;
      },
      [](int) {});
}

std::string Networks::lacking(const std::string& project, const std::string& service) const {
  const auto network = find(project);
  if (network == nullptr) return {};
  for (const auto& [key, lack] : network->lacking())
    if (lack.service == project::slug(service))
      return fmt::format("its port {} is not published: {}", key.second.port, lack.why.message());
  if (const std::string trouble = network->uplink_trouble(); !trouble.empty())
    return "UDP and ICMP do not leave the project's networks: " + trouble;
  return {};
}

std::optional<net::PortPublisher> Networks::publisher(int pid, const net::AddressAndPort& port,
                                                      bool udp) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [project, live] : live_) {
    if (pid != live.network->netd_pid() && pid != ::getpid()) continue;
    if (auto service = live.network->publisher(port, udp)) {
      std::replace(service->begin(), service->end(), '.', '/');  // as the file has it
      return net::PortPublisher{project, std::move(*service)};
    }
  }
  return std::nullopt;
}

Result<void> Networks::define(const std::string& project, const Services& services) {
  if (const auto known = live_.find(project); known != live_.end())
    return redefine(project, services, known->second.guests);
  if (!any_in_networks(services)) return {};
  const NetworkRegistry::Project numbers = this->numbers(project, services);
  auto wanted = TRY(plan(project, numbers, services));
  TRY(registry_.set(project, numbers));
  auto network = std::make_shared<ProjectNetwork>(
      ProjectNetwork::Deps{
          deps_.environment, deps_.user_namespace, deps_.paths, deps_.netd, deps_.explain,
          deps_.cni, deps_.log,
          [this, project] { deps_.loop.post([this, project] { update(project); }); },
          [this, project](UniqueFd pidfd) {
            const auto held = std::make_shared<UniqueFd>(std::move(pidfd));
            deps_.loop.post(
                [this, project, held] { watch(project, std::move(*held), &Live::netd); });
          },
          [this, project](UniqueFd pidfd) {
            const auto held = std::make_shared<UniqueFd>(std::move(pidfd));
            deps_.loop.post(
                [this, project, held] { watch(project, std::move(*held), &Live::uplink); });
          }},
      project);
  network->define(std::move(wanted));
  const std::lock_guard lock(mutex_);
  Live& live = live_[project];
  live.network = std::move(network);
  live.services = services;
  return {};
}

std::shared_ptr<ProjectNetwork> Networks::find(const std::string& project) const {
  const std::lock_guard lock(mutex_);
  const auto it = live_.find(project);
  return it == live_.end() ? nullptr : it->second.network;
}

void Networks::set_gate(const std::string& project, const std::string& service, Gate gate) {
  const auto network = find(project);
  if (network != nullptr && network->set_gate(project::slug(service), gate)) update(project);
}

void Networks::set_listening(const std::string& project, const std::string& service,
                             const std::optional<net::Endpoint>& endpoint,
                             std::set<ino_t> sockets) {
  const auto network = find(project);
  if (network == nullptr) return;
  std::optional<HostListener> listener;
  if (endpoint)
    if (const auto address = net::IpAddress::parse(endpoint->host))
      listener = HostListener{{*address, endpoint->port}, std::move(sockets)};
  if (network->set_listener(project::slug(service), std::move(listener))) update(project);
}

/// One at a time for a project: what changes during one is told by the next.
void Networks::update(const std::string& project) {
  const auto network = find(project);
  if (network == nullptr) return;
  Live& live = live_.at(project);
  if (std::exchange(live.updating, true)) {
    live.again = true;
    return;
  }
  jobs_->run<Result<void>>(
      "network of " + project,
      [network](const std::stop_token& stop) { return network->update(stop); },
      [this, project, network](const Result<void>& done) {
        if (find(project) != network) return;
        Live& now = live_.at(project);
        now.updating = false;
        note(project, now, done);
        log_ports(project, now);
        if (std::exchange(now.again, false)) return update(project);
        for (const auto& call : std::exchange(now.after, {})) call(done);
      });
}

/// What fails for a reason that may pass is tried again by itself (R-MAY-PASS).
void Networks::note(const std::string& project, Live& live, const Result<void>& done) {
  const std::string trouble = done ? "" : done.error().text();
  if (!done && trouble != live.trouble) deps_.log("network of " + project + ": " + trouble);
  live.trouble = trouble;
  if (done) live.failed = {};
  if (!done && may_pass(done.error())) update_after(project, live.failed);
}

std::chrono::milliseconds Networks::Pause::take() {
  constexpr std::chrono::milliseconds kFirst{200}, kLongest{30'000};
  return std::exchange(next, std::clamp(next * 2, kFirst, kLongest));
}

void Networks::update_after(const std::string& project, Pause& pause) {
  live_.at(project).again_later =
      deps_.loop.after(pause.take(), [this, project] { update(project); });
}

/// Ports that could not be taken, and those that have been since.
void Networks::log_ports(const std::string& project, Live& live) const {
  const ProjectNetwork::Lacking now = live.network->lacking();
  const auto place = [&](const auto& key) {
    return fmt::format("network of {}: port {}{} of {}", project, key.second.port,
                       key.first ? "/udp" : "", key.second.address.text());
  };
  for (const auto& [key, lack] : now)
    if (const auto known = live.lacking.find(key);
        known == live.lacking.end() || known->second.why.message() != lack.why.message())
      deps_.log(fmt::format("{} is not published for {}: {}", place(key), lack.service,
                            lack.why.message()));
  for (const auto& [key, lack] : live.lacking)
    if (!now.contains(key)) deps_.log(place(key) + " is published again");
  live.lacking = now;
}

void Networks::watch(const std::string& project, UniqueFd pidfd, Companion Live::*which) {
  if (find(project) == nullptr || !pidfd) return;
  Companion& companion = live_.at(project).*which;
  companion.watch.reset();
  companion.pidfd = std::move(pidfd);
  companion.started = EventLoop::Clock::now();
  companion.watch = deps_.loop.watch_readable(companion.pidfd.get(), [this, project, which] {
    Live& live = live_.at(project);
    Companion& ended = live.*which;
    ended.watch.reset();
    // Of a project that is brought down nothing is wanted any more.
    const bool netd = which == &Live::netd;
    if (const auto plan = live.network->plan(); plan != nullptr && (netd || plan->uplink))
      deps_.log(fmt::format(
          "network of {}: its {} has ended; another one is started", project,
          netd ? fmt::format("locald-netd (pid {})", live.network->netd_pid()) : "pasta"));
    if (EventLoop::Clock::now() - ended.started > kStays) ended.ended = {};
    update_after(project, ended.ended);
  });
}

std::vector<std::pair<std::string, std::string>> Networks::places(
    const std::string& project, const std::string& service) const {
  const auto network = find(project);
  const auto plan = network != nullptr ? network->plan() : nullptr;
  if (plan == nullptr) return {};
  return plan->layout.places(project::slug(service));
}

Result<ProjectNetwork::ProbePlace> Networks::probe_place(const std::string& project,
                                                         const std::string& service,
                                                         const std::string& host) const {
  const auto network = find(project);
  if (network == nullptr) return Error(Errc::unavailable, "project " + project + " has no network");
  return network->probe_place(project::slug(service), host);
}

Result<net::Attachment> Networks::attach(const std::string& project,
                                         const project::ServiceConfig& config,
                                         const std::stop_token& stop) {
  const auto network = find(project);
  if (network == nullptr)
    return Error(Errc::cancelled, "project " + project + " has no network any more");
  return network->attach(project::slug(config.name), stop);
}

void Networks::adopt(const std::string& project, const std::map<std::string, int>& shims) {
  const auto network = find(project);
  if (network == nullptr) return;
  std::map<std::string, int> slugs;
  for (const auto& [service, pid] : shims) slugs[project::slug(service)] = pid;
  network->adopt(std::move(slugs));
  update(project);
}

void Networks::end(const std::string& project, bool forget) {
  const auto network = find(project);
  if (network == nullptr) return end_left(project);
  network->end();
  deps_.loop.post([this, project, network, forget] {
    decltype(Live::after) waiting;
    {
      const std::lock_guard lock(mutex_);
      const auto it = live_.find(project);
      if (it == live_.end() || it->second.network != network) return;
      waiting = std::move(it->second.after);
      live_.erase(it);
    }
    if (forget) (void)registry_.forget(project);
    for (const auto& call : waiting) call({});
  });
}

/// What an earlier server has left of one that this one does not know.
void Networks::end_left(const std::string& project) const {
  CniPlaces({deps_.environment, deps_.cni, deps_.log}, deps_.paths, project).end(-1);
  Pasta::end_left(deps_.paths, project);
  Netd::end_all(deps_.paths, project);
}

void Networks::end_others(const std::set<std::string>& kept) {
  std::set<std::string> others;
  std::set<std::string> known = Netd::projects(deps_.paths);
  known.merge(cni_projects(deps_.paths));
  known.merge(Pasta::projects(deps_.paths));
  for (const std::string& project : known)
    if (!is_live(project) && !kept.contains(project)) others.insert(project);
  if (others.empty()) return;
  jobs_->run<int>(
      "end networks of no project",
      [this, others](const std::stop_token&) {
        for (const std::string& project : others)
          if (!is_live(project)) end_left(project);
        return 0;
      },
      [](int) {});
}

}  // namespace locald::server
