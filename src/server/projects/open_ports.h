#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "net/network.h"
#include "project/units.h"
#include "runtime/listener_search.h"
#include "server/projects/project.h"

namespace locald::server {

/// Finds out where services listen that have come to run: their endpoint, and whether hosts of the
/// network reach them, which is said. Loop thread only; the looking is a job.
class OpenPorts {
 public:
  struct Deps {
    EventLoop& loop;
    JobPool& jobs;
    const net::Network& network;
    const runtime::ListenerSearch& listeners;
    std::function<Project*(const std::string& name)> project;  ///< null: it is down
  };
  explicit OpenPorts(Deps deps) : deps_(std::move(deps)) {}

  /// Looks a second after the last such call, once for all services of these calls. One that does
  /// not listen yet is looked at again for two minutes, each time after longer.
  void look_at(const std::string& project, const std::string& service);

 private:
  struct Fresh {
    std::string project, service;
    int shim_pid;                 // 0: whichever it has then
    project::Milliseconds after;  // that it is looked at; counts again from each start
  };
  struct Target {
    Fresh fresh;
    std::uint16_t port;
    bool has_endpoint;
  };
  struct Seen {
    std::optional<net::Endpoint> endpoint;
    std::set<ino_t> sockets;  ///< its own, which listen there
    std::vector<net::Listener> exposed;
  };
  void schedule();
  std::vector<Target> targets();
  static Result<std::vector<Seen>> look(const std::vector<Target>& targets,
                                        const net::Network& network,
                                        const runtime::ListenerSearch& search);
  void take(const Target& target, const Seen& seen);

  Deps deps_;
  std::vector<Fresh> fresh_;  // still to be looked at
  EventLoop::Handle timer_;
};

}  // namespace locald::server
