#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/environment.h"
#include "net/layout.h"
#include "runtime/job_world.h"
#include "runtime/worker.h"

/// What of a project's network must be made inside the user namespace: a job of a worker, which
/// hands over what it has made.
///
///     server                                   worker
///       | -- the sandbox, if there is one ------->|
///       |<-- "sandbox", "sockets", "service" … ---|  each with its descriptors
///
/// over the job's file, a socket of type SOCK_SEQPACKET.
namespace locald::server {

struct JobBridge {
  std::uint32_t number = 0;  ///< of its network
  std::string name;
  std::vector<std::string> addresses;  ///< with the length of the prefix
  bool relays = false, relays_v6 = false;
  std::vector<std::string> allowed;
  static const Fields& fields();
};

struct JobLink {
  std::string bridge, host_end, name;
  std::vector<std::string> addresses, routes;
  static const Fields& fields();
};

struct JobService {
  std::string name;
  std::vector<JobLink> links;
  static const Fields& fields();
};

struct NetworkJob {
  static constexpr const char* kOp = "network";
  std::string op = kOp;
  std::vector<JobBridge> bridges;  ///< of the sandbox; those that it lacks are made
  bool sockets = false;            ///< netd's, for all bridges
  std::vector<JobService> services;
  runtime::JobWorld world = {};
  static const Fields& fields();
};

runtime::WorkerHandler find_network_job(const std::string& op);

/// A service's namespace.
struct MadeService {
  std::shared_ptr<const UniqueFd> netns;
  std::shared_ptr<const UniqueFd> probe;  ///< net::make_probe_socket() of it
};

/// What the job has made.
struct MadeNetwork {
  std::shared_ptr<const UniqueFd> sandbox;
  std::map<std::uint32_t, std::vector<UniqueFd>> sockets;  ///< of netd, by their network's number
  std::map<std::string, MadeService> services;
};

/// Makes the namespaces of `services`, connected to `sandbox`, which is made too where it is null;
/// its firewall is written in any case. Blocks. On error nothing is left.
/// @param tag  tells the links of one service apart, of which an earlier one may not be gone yet.
Result<MadeNetwork> make_network(builder::Environment& environment, const net::Layout& layout,
                                 std::shared_ptr<const UniqueFd> sandbox, bool sockets,
                                 const std::vector<std::string>& services, std::string_view tag,
                                 const std::stop_token& stop);

}  // namespace locald::server
