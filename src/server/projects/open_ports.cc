#include "server/projects/open_ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/endpoint.h"
#include "net/listeners.h"

namespace locald::server {
namespace {

constexpr project::Milliseconds kFirstLook{1000}, kLastLook{64000};  // after a start

bool exposed(const net::Listener& l) { return !l.loopback && l.netns == 0; }

}  // namespace

void OpenPorts::look_at(const std::string& project, const std::string& service) {
  fresh_.push_back({project, service, 0, kFirstLook});
  schedule();
}

void OpenPorts::schedule() {
  if (fresh_.empty()) return;
  auto next = project::Milliseconds::max();
  for (const Fresh& f : fresh_) next = std::min(next, f.after);
  timer_ = deps_.loop.after(next, [this] {
    const std::vector<Target> targets = this->targets();
    if (targets.empty()) return;
    deps_.jobs.run<Result<std::vector<Seen>>>(
        "look for open ports",
        [targets, &network = deps_.network, &search = deps_.listeners](const std::stop_token&) {
          return look(targets, network, search);
        },
        [this, targets](const Result<std::vector<Seen>>& seen) {
          for (std::size_t i = 0; i < targets.size(); ++i)
            take(targets[i], seen ? (*seen)[i] : Seen());
          schedule();
        });
  });
}

/// Those of `fresh_` that still run; it is empty afterwards.
std::vector<OpenPorts::Target> OpenPorts::targets() {
  std::vector<Target> out;
  for (Fresh& f : std::exchange(fresh_, {}))
    if (Project* p = deps_.project(f.project))
      if (const Supervisor::Unit* unit = p->supervisor().find(f.service);
          unit != nullptr && unit->shim_pid != 0 && unit->active != nullptr &&
          unit->active->network == "host" && (f.shim_pid == 0 || f.shim_pid == unit->shim_pid)) {
        f.shim_pid = unit->shim_pid;
        out.push_back(
            {f, static_cast<std::uint16_t>(unit->active->port), unit->endpoint.has_value()});
      }
  return out;
}

/// What each of `targets` listens on.
Result<std::vector<OpenPorts::Seen>> OpenPorts::look(const std::vector<Target>& targets,
                                                     const net::Network& network,
                                                     const runtime::ListenerSearch& search) {
  std::vector<Seen> out(targets.size());
  const auto all = TRY(network.listeners(/*port=*/0));
  // Most often nobody listens so, and only those are looked at whose own port is open.
  const bool anybody = std::any_of(all.begin(), all.end(), exposed);
  std::vector<pid_t> roots;
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Target& t = targets[i];
    const bool open = t.port != 0 && std::any_of(all.begin(), all.end(),
                                                 [&](const auto& l) { return l.port == t.port; });
    if (!anybody && (!open || t.has_endpoint)) continue;
    roots.push_back(t.fresh.shim_pid);
    which.push_back(i);
  }
  if (roots.empty()) return out;
  const auto trees = TRY(search.below(roots));
  for (std::size_t n = 0; n < which.size(); ++n) {
    Seen& seen = out[which[n]];
    const std::uint16_t port = targets[which[n]].port;
    for (const net::Listener& l : trees[n].listeners)
      if (exposed(l)) seen.exposed.push_back(l);
    std::vector<net::Listener> there;
    for (const net::Listener& l : all)
      if (l.port == port) there.push_back(l);
    if (port == 0) continue;
    const net::EndpointLook found = net::choose_endpoint(port, there, trees[n]);
    seen.endpoint = found.endpoint;
    seen.sockets = found.own();
  }
  return out;
}

void OpenPorts::take(const Target& target, const Seen& seen) {
  const Fresh& fresh = target.fresh;
  Project* p = deps_.project(fresh.project);
  if (p == nullptr) return;
  if (seen.endpoint)
    p->supervisor().set_endpoint(fresh.service, fresh.shim_pid, *seen.endpoint, seen.sockets);
  for (const net::Listener& l : seen.exposed) {
    net::Endpoint e;
    e.host = l.address;
    e.port = l.port;
    p->set_exposed(fresh.service, fresh.shim_pid,
                   fmt::format("listens on {}: every host that reaches this machine reaches it, "
                               "not only this machine",
                               e.authority()));
  }
  if (seen.endpoint || !seen.exposed.empty() || fresh.after >= kLastLook) return;
  Fresh again = fresh;
  again.after *= target.port != 0 ? 2 : 4;
  fresh_.push_back(again);
}

}  // namespace locald::server
