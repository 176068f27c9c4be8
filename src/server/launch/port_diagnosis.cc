#include "server/launch/port_diagnosis.h"

#include <fmt/format.h>

#include "runtime/processes.h"

namespace locald::server {
namespace {

constexpr int kDeepest = 64;  // ancestors looked at

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

std::string PortDiagnosis::describe(const std::optional<net::PortHolder>& holder) const {
  if (!holder) return "a process that cannot be seen";
  const std::lock_guard lock(mutex_);
  for (int pid = holder->pid, depth = 0; pid > 1 && depth < kDeepest; ++depth) {
    if (const auto it = names_.find(pid); it != names_.end())
      return fmt::format("service {} ({})", it->second, to_string(*holder));
    const auto stat = runtime::process_stat(pid);
    pid = stat ? stat->parent : 0;
  }
  return to_string(*holder);
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
  return Error(Errc::unavailable, fmt::format("port {} is in use by {}", port, describe(holder)))
      .with_hint(holder && holder->pid != 0 ? "stop it, or give the service another port"
                                            : "give the service another port");
}

}  // namespace locald::server
