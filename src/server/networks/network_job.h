#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
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
///       | -- the sandbox, and namespaces, if any ->|
///       |<-- "sandbox", "sockets", "service" … ---|  each with its descriptors
///
/// over the job's file, a socket of type SOCK_SEQPACKET.
namespace locald::server {

struct JobBridge {
  std::string name;                    ///< empty: plugins make the links of this network
  std::vector<std::string> addresses;  ///< with the length of the prefix
  bool relays = false, relays_v6 = false;
  std::vector<std::string> allowed;
  std::string uplink;
  std::uint32_t group = 0;
  std::vector<std::string> relayed;
  static const Fields& fields();
};

/// A network that netd's sockets are wanted of.
struct JobListener {
  std::uint32_t number = 0;
  bool relays = false;
  std::vector<std::string> addresses;
  static const Fields& fields();
};

struct JobLink {
  std::string bridge, host_end, name;
  std::vector<std::string> addresses, routes;
  static const Fields& fields();
};

struct JobService {
  std::string name;
  bool known = false;    ///< its namespace comes with the first packet; it gets sockets alone
  bool sockets = false;  ///< netd's, which take the place of those that were made before
  std::vector<JobLink> links;
  static const Fields& fields();
};

struct NetworkJob {
  static constexpr const char* kOp = "network";
  std::string op = kOp;
  std::vector<JobBridge> bridges;  ///< of the sandbox; those that it lacks are made
  std::vector<JobListener> listeners;
  std::vector<JobService> services;
  runtime::JobWorld world = {};
  static const Fields& fields();
};

runtime::WorkerHandler find_network_job(const std::string& op);

/// A service's namespace.
struct MadeService {
  bool known = false;  ///< it was there before
  std::shared_ptr<const UniqueFd> netns;
  std::shared_ptr<const UniqueFd> probe;  ///< net::make_probe_socket() of it
  std::vector<UniqueFd> sockets;          ///< net::make_service_sockets() of it, for netd
};

/// What the job has made.
struct MadeNetwork {
  std::shared_ptr<const UniqueFd> sandbox;
  std::map<std::uint32_t, std::vector<UniqueFd>> sockets;  ///< of netd, by their network's number
  std::map<std::string, MadeService> services;
};

/// What is to be made.
struct WantedNetwork {
  const net::Layout& layout;
  std::shared_ptr<const UniqueFd> sandbox;  ///< null: it is made too
  std::set<std::uint32_t> sockets;          ///< networks whose sockets netd lacks
  struct Service {
    std::shared_ptr<const UniqueFd> netns;  ///< null: it is made
    bool sockets = true;  ///< netd's, which take the place of those that were made before
  };
  std::map<std::string, Service> services;
  /// Tells the links of one service apart, of which an earlier one may not be gone yet.
  std::string tag;
};

/// The firewall of the sandbox is written in any case. Blocks. On error nothing is left.
Result<MadeNetwork> make_network(builder::Environment& environment, WantedNetwork wanted,
                                 const std::stop_token& stop);

}  // namespace locald::server
