#include "server/networks/network_job.h"

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/strings.h"
#include "base/sys/sys.h"
#include "net/packet.h"
#include "net/sandbox/netd_sockets.h"
#include "server/networks/subnet_texts.h"

namespace locald::server {
namespace {

constexpr std::chrono::seconds kLimit{30};
/// Services in one job: their packets wait in the socket until the worker has ended.
constexpr std::size_t kMaxAtOnce = 100;

// -- in the worker

Result<std::vector<net::Link>> links_of(const JobService& service) {
  std::vector<net::Link> out;
  for (const JobLink& link : service.links) {
    net::Link one{link.bridge, link.host_end, link.name, TRY(subnets(link.addresses)), {}};
    for (const std::string& route : link.routes)
      one.routes.push_back(TRY(net::IpAddress::parse(route)));
    out.push_back(std::move(one));
  }
  return out;
}

Result<void> hand_over(int socket, const std::string& what, const std::vector<UniqueFd>& made) {
  std::vector<int> fds;
  for (const UniqueFd& fd : made) fds.push_back(fd.get());
  if (!net::send_packet(socket, what, fds, /*wait=*/true))
    return Error(Errc::cancelled, "the server does not take what was made");
  return {};
}

Result<Json> network_job(const Json& json, const std::function<void(Json)>&) {
  const auto job = TRY(decode<NetworkJob>(json));
  const UniqueFd socket = TRY(runtime::handed_file(json));
  net::Packet first;
  if (!first.receive(socket.get()) || first.ended())
    return Error(Errc::cancelled, "the job came without its first packet");
  std::vector<net::Bridge> bridges;
  std::vector<net::BridgePolicy> policies;
  for (const JobBridge& each : job.bridges) {
    policies.push_back({.bridge = each.name,
                        .addresses = TRY(subnets(each.addresses)),
                        .relay_port = each.relays ? net::kRelayPort : std::uint16_t{0},
                        .relay_v6 = each.relays_v6,
                        .allowed = TRY(subnets(each.allowed)),
                        .uplink = each.uplink,
                        .group = each.group,
                        .relayed = TRY(subnets(each.relayed))});
    if (!each.name.empty()) bridges.push_back({each.name, policies.back().addresses});
  }
  std::vector<UniqueFd> given = std::move(first.fds());
  UniqueFd sandbox;
  if (given.empty()) {
    sandbox = TRY(net::make_sandbox(bridges));
  } else {
    sandbox = std::move(given.front());
    given.erase(given.begin());
    TRY(net::add_bridges(sandbox.get(), bridges));
  }
  TRY(net::in_namespace(sandbox.get(), [&]() -> Result<void> {
    TRY(net::write_firewall(policies));
    if (std::any_of(policies.begin(), policies.end(),
                    [](const auto& policy) { return !policy.uplink.empty(); }))
      TRY(net::let_forward());
    for (const JobListener& each : job.listeners) {
      net::NetdPlan::Network network{.number = each.number, .relays = each.relays, .addresses = {}};
      for (const std::string& address : each.addresses)
        network.addresses.push_back(TRY(net::IpAddress::parse(address)));
      TRY(hand_over(socket.get(), "sockets " + std::to_string(network.number),
                    TRY(net::make_netd_sockets({network}))));
    }
    return {};
  }));
  std::size_t next = 0;
  for (const JobService& service : job.services) {
    std::vector<UniqueFd> made;
    if (service.known && next == given.size())
      return Error(Errc::invalid_input, "the namespace of " + service.name + " is missing");
    made.push_back(service.known ? std::move(given[next++])
                                 : TRY(net::make_attached(sandbox.get(), TRY(links_of(service)))
                                           .context("connect " + service.name)));
    made.push_back(TRY(net::make_probe_socket(made.front().get())));
    if (service.sockets)
      for (UniqueFd& each : TRY(net::make_service_sockets(made.front().get())))
        made.push_back(std::move(each));
    TRY(hand_over(socket.get(), "service " + service.name, made));
  }
  std::vector<UniqueFd> last;
  last.push_back(std::move(sandbox));
  TRY(hand_over(socket.get(), "sandbox", last));
  return Json::object({});
}

// -- in the server

/// Of the services `some`.
NetworkJob job_of(const WantedNetwork& wanted, const std::vector<std::string>& some, bool sockets) {
  NetworkJob job;
  const net::Layout& layout = wanted.layout;
  for (const net::BridgePolicy& policy : layout.policies())
    job.bridges.push_back({policy.bridge, texts(policy.addresses), policy.relay_port != 0,
                           policy.relay_v6, texts(policy.allowed), policy.uplink, policy.group,
                           texts(policy.relayed)});
  for (const net::NetdPlan::Network& network : layout.netd_networks())
    if (sockets && wanted.sockets.contains(network.number)) {
      JobListener one{network.number, network.relays, {}};
      for (const net::IpAddress& address : network.addresses)
        one.addresses.push_back(address.text());
      job.listeners.push_back(std::move(one));
    }
  for (const std::string& service : some) {
    const WantedNetwork::Service& each = wanted.services.at(service);
    JobService one{service, each.netns != nullptr, each.sockets, {}};
    for (const net::Link& link : layout.links(service)) {
      std::vector<std::string> routes;
      for (const net::IpAddress& route : link.routes) routes.push_back(route.text());
      one.links.push_back({link.bridge, link.host_end + wanted.tag, link.name,
                           texts(link.addresses), std::move(routes)});
    }
    job.services.push_back(std::move(one));
  }
  return job;
}

/// Takes what the worker has sent.
void take(int socket, MadeNetwork& made) {
  while (true) {
    net::Packet packet;
    if (!packet.receive(socket) || packet.ended()) return;
    const std::string what(packet.rest());
    if (what.starts_with("sockets "))
      made.sockets[static_cast<std::uint32_t>(parse_u64(what.substr(8)).value_or(0))] =
          std::move(packet.fds());
    if (packet.fds().empty()) continue;
    const auto first = std::make_shared<const UniqueFd>(std::move(packet.fds().front()));
    if (what == "sandbox") made.sandbox = first;
    if (!what.starts_with("service ") || packet.fds().size() < 2) continue;
    MadeService& service = made.services[what.substr(8)];
    service.netns = first;
    service.probe = std::make_shared<const UniqueFd>(std::move(packet.fds()[1]));
    for (std::size_t i = 2; i < packet.fds().size(); ++i)
      service.sockets.push_back(std::move(packet.fds()[i]));
  }
}

}  // namespace

const Fields& JobBridge::fields() {
  using B = JobBridge;
  static const Fields table = FieldsOf<B>("bridge")
                                  .required("name", &B::name, "")
                                  .required("addresses", &B::addresses, "its own")
                                  .field("relays", &B::relays, "TCP that leaves it")
                                  .field("relays_v6", &B::relays_v6, "")
                                  .field("allowed", &B::allowed, "link-local networks")
                                  .field("uplink", &B::uplink, "")
                                  .field("group", &B::group, "of links that plugins make")
                                  .field("relayed", &B::relayed, "");
  return table;
}

const Fields& JobListener::fields() {
  using L = JobListener;
  static const Fields table = FieldsOf<L>("listener")
                                  .required("number", &L::number, "of the network")
                                  .field("relays", &L::relays, "")
                                  .required("addresses", &L::addresses, "of the sandbox");
  return table;
}

const Fields& JobLink::fields() {
  using L = JobLink;
  static const Fields table = FieldsOf<L>("link")
                                  .required("bridge", &L::bridge, "")
                                  .required("host_end", &L::host_end, "its name in the sandbox")
                                  .required("name", &L::name, "its name in the service")
                                  .required("addresses", &L::addresses, "")
                                  .field("routes", &L::routes, "default routes");
  return table;
}

const Fields& JobService::fields() {
  static const Fields table = FieldsOf<JobService>("service")
                                  .required("name", &JobService::name, "")
                                  .field("known", &JobService::known, "its namespace is given")
                                  .field("sockets", &JobService::sockets, "netd's are wanted")
                                  .required("links", &JobService::links, "");
  return table;
}

const Fields& NetworkJob::fields() {
  using J = NetworkJob;
  static const Fields table = runtime::job_fields<J>()
                                  .required("bridges", &J::bridges, "")
                                  .field("listeners", &J::listeners, "netd's sockets")
                                  .field("services", &J::services, "");
  return table;
}

runtime::WorkerHandler find_network_job(const std::string& op) {
  if (op == NetworkJob::kOp) return network_job;
  return {};
}

Result<MadeNetwork> make_network(builder::Environment& environment, WantedNetwork wanted,
                                 const std::stop_token& stop) {
  MadeNetwork out;
  std::vector<std::string> all;
  for (const auto& [name, service] : wanted.services) all.push_back(name);
  for (std::size_t first = 0; first == 0 || first < all.size(); first += kMaxAtOnce) {
    const std::vector<std::string> some(
        all.begin() + static_cast<std::ptrdiff_t>(first),
        all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), first + kMaxAtOnce)));
    auto [ours, theirs] = TRY(sys::socketpair(SOCK_SEQPACKET));
    std::vector<int> given;
    if (wanted.sandbox != nullptr) given.push_back(wanted.sandbox->get());
    for (const std::string& name : some)
      if (const auto& netns = wanted.services.at(name).netns; netns != nullptr && !given.empty())
        given.push_back(netns->get());
    if (!net::send_packet(ours.get(), "go", given))
      return Error(Errc::failed, "hand the sandbox to the worker");
    TRY(environment.run(encode(job_of(wanted, some, first == 0)), {}, stop, kLimit, theirs.get())
            .context("make the project's network"));
    take(ours.get(), out);
    if (out.sandbox == nullptr || out.services.size() < first + some.size())
      return Error(Errc::failed, "make the project's network: the worker handed over too little");
    for (const std::string& name : some)
      out.services[name].known = wanted.services.at(name).netns != nullptr;
    wanted.sandbox = out.sandbox;
  }
  return out;
}

}  // namespace locald::server
