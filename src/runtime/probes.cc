#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <optional>

#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "runtime/process_runtime_impl.h"
#include "runtime/processes.h"
#include "runtime/shim_launch.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// Beyond the probe's own timeout: the shim is killing what it had started.
constexpr milliseconds kGrace{3000};

Result<ProcessRuntime::ProbeResult> run_probe(const std::string& shim, ShimSpec spec,
                                              const std::string& process, int join_fd,
                                              const std::vector<int>& extra_fds,
                                              milliseconds timeout, const std::stop_token& stop) {
  if (stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
  spec.set(shim::kKeyId, "probe").set(shim::kKeyNonce, "probe");
  spec.set(shim::kKeyTimeout, static_cast<std::uint64_t>(timeout.count()));
  const UniqueFd spec_fd = TRY(spec.to_fd());
  const UniqueFd process_fd = TRY(sys::memfd("locald-process", process));
  auto [ours, theirs] = TRY(sys::socketpair(SOCK_STREAM));
  SpawnOptions options;
  options.argv = {shim, shim::kModeProbe};
  options.fds = {{spec_fd.get(), shim::kShimSpec},
                 {process_fd.get(), shim::kShimFolder},
                 {theirs.get(), shim::kShimControl}};
  if (join_fd >= 0) options.fds.emplace_back(join_fd, shim::kShimJoin);
  for (std::size_t n = 0; n < extra_fds.size(); ++n)
    options.fds.emplace_back(extra_fds[n], shim::kShimExtra + static_cast<int>(n));
  Child first = TRY(spawn(options));
  theirs.reset();
  const UniqueFd cancelled(::eventfd(0, EFD_CLOEXEC));
  const std::stop_callback wake(stop, [&] {
    const std::uint64_t one = 1;
    (void)!::write(cancelled.get(), &one, sizeof one);
  });
  auto deadline = Clock::now() + timeout + kGrace;
  bool called_off = false;
  std::string answer;
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd fds[2] = {{ours.get(), POLLIN, 0}, {called_off ? -1 : cancelled.get(), POLLIN, 0}};
    if (left <= 0 && called_off) break;
    if (left <= 0)
      return Error(Errc::timed_out, "timed out after " + std::to_string(timeout.count()) + " ms");
    if (::poll(fds, 2, static_cast<int>(left)) < 0) continue;
    if (fds[1].revents != 0) {
      // The shim's process sees this as our end, kills what it started, and then hangs up.
      called_off = true;
      (void)::shutdown(ours.get(), SHUT_WR);
      deadline = Clock::now() + kGrace;
      continue;
    }
    if (fds[0].revents == 0) continue;
    char chunk[4096];
    const std::size_t n = TRY(sys::read_some(ours.get(), chunk, sizeof chunk));
    if (n == 0) break;
    answer.append(chunk, n);
  }
  if (called_off) return Error(Errc::cancelled, "cancelled");
  (void)first.wait(Clock::now() + kGrace);
  shim::ProbeReply reply{};
  if (answer.size() < sizeof reply) return Error(Errc::failed, "the probe's process was killed");
  std::memcpy(&reply, answer.data(), sizeof reply);
  std::string text = answer.substr(sizeof reply);
  // 126 and 127 speak of the command. 125 is a process, pipe or namespace that could not be made.
  if (reply.never_ran != 0 && reply.code == 125) return Error(Errc::failed, std::move(text));
  if (reply.never_ran != 0) return ProcessRuntime::ProbeResult{reply.code, std::move(text)};
  if (reply.code < 0)
    return Error(Errc::timed_out, "timed out after " + std::to_string(timeout.count()) + " ms");
  return ProcessRuntime::ProbeResult{reply.code, std::move(text)};
}

}  // namespace

Result<ProcessRuntime::ProbeResult> ProcessRuntime::probe(const std::string& target_instance,
                                                          const ExecSpec& command,
                                                          milliseconds timeout,
                                                          const std::stop_token& stop) {
  const std::string runc = TRY(impl_->runc());
  const ExecTarget target = TRY(impl_->exec_target(target_instance));
  auto [process, init] = TRY(exec_process(target, command));
  process.terminal = false;
  process.console_size.reset();
  ShimSpec spec;
  spec.set(shim::kKeyKind, "exec")
      .set(shim::kKeyRunc, runc)
      .set(shim::kKeyRuncRoot, impl_->options.paths.runc_root())
      .set(shim::kKeyRunDir, impl_->options.paths.instance(target_instance))
      .set(shim::kKeyTarget, target_instance)
      .flag(shim::kKeyReport, init)
      .flag(shim::kKeyUserns, target.in_user_namespace)
      .flag(shim::kKeyNetns, target.own_network);
  return run_probe(impl_->options.shim, std::move(spec), process.to_json().dump(),
                   target.shim_pidfd.get(), {}, timeout, stop);
}

Result<ProcessRuntime::ProbeResult> ProcessRuntime::probe_host(const HostProcess& command,
                                                               milliseconds timeout,
                                                               const std::stop_token& stop) {
  if (command.argv.empty()) return Error(Errc::invalid_input, "no command");
  ShimSpec spec = host_spec(command, "probe");
  spec.set(shim::kKeyKind, "host");
  return run_probe(impl_->options.shim, std::move(spec), "", -1, host_fds(command), timeout, stop);
}

}  // namespace locald::runtime
