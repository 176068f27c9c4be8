#pragma once
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "net/network.h"
#include "server/supervise/health.h"

namespace locald::server {

/// Looks for where a service listens (Launcher::find_endpoint); `done` comes once, on the loop.
using FindEndpoint = std::function<JobPool::Job(
    std::uint16_t port, std::function<void(Result<net::EndpointLook>)> done)>;

/// Called with where a service has been found to listen, and with its own sockets there.
using FoundEndpoint = std::function<void(const net::Endpoint& endpoint, std::set<ino_t> sockets)>;

/// Connects to a service, or asks for `path` by HTTP (probe.h): in the loop, without forking. Of
/// "localhost" it first proves that the service itself listens there; what somebody else answers
/// says nothing. That look is a job, made once for the same listening sockets; then a probe costs a
/// question to the kernel more. An address that the user has written is taken as it is.
/// @param host   "localhost" or an address
/// @param path   empty: connecting is enough
/// @param found  called where the service has been found to listen, before it is asked
std::unique_ptr<Prober> make_net_prober(EventLoop& loop, const net::Network& network,
                                        const std::string& host, std::uint16_t port,
                                        const std::string& path, FindEndpoint find,
                                        FoundEndpoint found);

}  // namespace locald::server
