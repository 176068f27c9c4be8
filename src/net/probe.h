#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/loop/event_loop.h"
#include "base/sys/unique_fd.h"
#include "net/verdict.h"

/// Single attempts to reach a service, on the loop, without a process or a thread.
namespace locald::net {

/// An attempt under way; dropping it ends it, and `done` is then not called.
class Probe {
 public:
  virtual ~Probe() = default;
};

/// A socket of another network namespace, to connect with from there: for IPv4 and TCP, one probe
/// at a time. Null: a socket of this process's own network.
using ProbeSocket = std::shared_ptr<const UniqueFd>;

/// Connects to host:port. `host` is an address or "localhost" (127.0.0.1, then
/// ::1; with a `socket`: the first alone). Calls `done` once, later: fine, or why not (refused, timed out …); unknown where this
/// process had no descriptor or port of its own left to ask with.
[[nodiscard]] std::unique_ptr<Probe> probe_tcp(EventLoop& loop, const std::string& host,
                                               std::uint16_t port,
                                               std::chrono::milliseconds timeout,
                                               std::function<void(Verdict)> done,
                                               ProbeSocket socket = nullptr);

/// Whom a request goes to.
struct HttpHost {
  std::string address;  ///< as `host` of probe_tcp
  std::string name;     ///< what its Host header says
};

/// GET `path` (begins with '/'); healthy is a status from 200 to 399, as
/// Kubernetes has it. Redirects are not followed; at most 4 KiB are read.
[[nodiscard]] std::unique_ptr<Probe> probe_http(EventLoop& loop, const HttpHost& host,
                                                std::uint16_t port, const std::string& path,
                                                std::chrono::milliseconds timeout,
                                                std::function<void(Verdict)> done,
                                                ProbeSocket socket = nullptr);

}  // namespace locald::net
