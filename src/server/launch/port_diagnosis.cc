#include "server/launch/port_diagnosis.h"

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/strings.h"
#include "net/endpoint.h"
#include "runtime/processes.h"

namespace locald::server {
namespace {

constexpr int kDeepest = 64;  // ancestors looked at

std::string addresses_hint() {
  const std::vector<std::string> own = net::own_addresses();
  return own.empty() ? "" : "; it has " + join(own, ", ");
}

}  // namespace

void PortDiagnosis::remember(int shim_pid, const std::string& instance, const std::string& name) {
  const std::lock_guard lock(mutex_);
  names_[shim_pid] = name;
  shim_of_[instance] = shim_pid;
}

void PortDiagnosis::forget(const std::string& instance) {
  const std::lock_guard lock(mutex_);
  const auto it = shim_of_.find(instance);
  if (it == shim_of_.end()) return;
  names_.erase(it->second);
  shim_of_.erase(it);
}

std::optional<net::PortPublisher> PortDiagnosis::publisher(const net::PortHolder& holder,
                                                           std::uint16_t port, bool udp) const {
  const auto address = net::IpAddress::parse(holder.address);
  if (!find_ || holder.pid == 0 || !address) return std::nullopt;
  return find_(holder.pid, {*address, port}, udp);
}

std::string PortDiagnosis::describe(const std::optional<net::PortHolder>& holder,
                                    std::uint16_t port, bool udp) const {
  if (!holder) return "a process that cannot be seen";
  if (const auto by = publisher(*holder, port, udp))
    return fmt::format("service {} of project {}, which publishes it", by->service, by->project);
  const std::lock_guard lock(mutex_);
  for (int pid = holder->pid, depth = 0; pid > 1 && depth < kDeepest; ++depth) {
    if (const auto it = names_.find(pid); it != names_.end())
      return fmt::format("service {} ({})", it->second, to_string(*holder));
    const auto stat = runtime::process_stat(pid);
    pid = stat ? stat->parent : 0;
  }
  return to_string(*holder);
}

Error PortDiagnosis::in_use(const std::optional<net::PortHolder>& holder, std::uint16_t port,
                            bool udp) const {
  const std::string name = fmt::format("{}{}", port, udp ? "/udp" : "");
  const auto by = holder ? publisher(*holder, port, udp) : std::nullopt;
  if (by)
    return Error(Errc::unavailable, fmt::format("port {} is in use: it is published by service {} "
                                                "of project {}",
                                                name, by->service, by->project))
        .with_hint(
            fmt::format("give one of the two services another port, or stop that one: locald "
                        "-p {} stop {}",
                        by->project, by->service));
  return Error(Errc::unavailable,
               fmt::format("port {} is in use by {}", name, describe(holder, port, udp)))
      .with_hint(holder && holder->pid != 0 ? "stop it, or give the service another port"
                                            : "give the service another port");
}

Result<void> PortDiagnosis::check_free(const net::Network& network, std::uint16_t port) const {
  const auto free = network.check_port_free(port);
  if (free) return {};
  if (free.error().code() != Errc::already_exists) return free;
  const auto holder = net::find_port_holder(port);
  if (holder && holder->lingers)
    return Error(Errc::unavailable,
                 fmt::format("port {} is not free yet: {} hold it", port, to_string(*holder)))
        .with_hint("within a minute it is free; a server that sets SO_REUSEADDR leaves none");
  return in_use(holder, port, /*udp=*/false);
}

Error PortDiagnosis::explain(const Error& error, const net::AddressAndPort& at, bool udp) const {
  switch (error.sys_errno()) {
    case EADDRINUSE: {
      const auto there = net::find_port_holder(at, udp);
      // Without a listener: what holds it is a connection.
      return in_use(there || udp ? there : net::find_port_holder(at.port), at.port, udp);
    }
    case EACCES:
      if (auto allowed = net::check_port_allowed(at.port, net::first_allowed_port()); !allowed)
        return std::move(allowed).error();
      return Error(error).with_context("publish a port");
    case EADDRNOTAVAIL:
      return Error(Errc::unavailable,
                   fmt::format("cannot publish port {} at {}: that is not an address of this host",
                               at.port, at.address.text()))
          .with_hint(fmt::format("leave the address out ({}), or use 0.0.0.0 for all{}",
                                 net::kLoopback, addresses_hint()));
    default:
      return Error(error).with_context("publish a port");
  }
}

}  // namespace locald::server
