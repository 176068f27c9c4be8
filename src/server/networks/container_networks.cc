#include "server/networks/container_networks.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "base/strings.h"
#include "net/ports.h"
#include "project/project_spec.h"
#include "server/networks/port_choice.h"
#include "server/service_port.h"

namespace locald::server {
namespace {

/// No project has a point in its name.
std::string own_network(const std::string& id) { return "container." + id; }

std::string text_of(const project::PortConfig& port) {
  const std::string address =
      port.address.find(':') == std::string::npos ? port.address : "[" + port.address + "]";
  return fmt::format("{}{}{}:{}{}", address, address.empty() ? "" : ":", port.port,
                     port.container_port, port.udp ? "/udp" : "");
}

/// The network NET of a project, as its services know it.
Result<project::MemberConfig> member_of(const Networks::Services& services,
                                        const std::string& project, const std::string& network) {
  std::set<std::string> known;
  for (const auto& [name, config] : services)
    for (const project::MemberConfig& member : config->networks) {
      known.insert(member.network);
      if (member.network != network) continue;
      project::MemberConfig out = member;
      out.aliases.clear();
      out.address.clear();
      return out;
    }
  return Error(Errc::not_found, fmt::format("project {} has no network {}", project, network))
      .with_hint("its networks: " + join({known.begin(), known.end()}, ", "));
}

}  // namespace

std::vector<ipc::ServicePort> ContainerNetwork::published() const {
  std::vector<ipc::ServicePort> out;
  if (connected())
    for (const project::PortConfig& port : config->ports)
      out.push_back(service_port(port, port.container_port));
  return out;
}

/// The first port of its range that is free, or any that is not kept for a project.
Result<project::PortConfig> ContainerNetworks::choose(project::PortConfig port) const {
  if (!port.chosen()) {
    TRY(net::check_port_allowed(port.port, net::first_allowed_port()));
    return port;
  }
  const int last = std::exchange(port.last, 0);
  const std::set<int> kept = last == 0 ? networks_.registry().ports_of_others("") : std::set<int>();
  port.port = TRY(
      choose_port(host_, port.port, last, [&](int candidate) { return kept.contains(candidate); }));
  return port;
}

Result<ContainerNetwork> ContainerNetworks::find(const std::string& id, const std::string& name,
                                                 const std::string& network,
                                                 const std::vector<std::string>& ports) const {
  ContainerNetwork out;
  out.text = network;
  project::ServiceConfig config;
  config.name = name.empty() ? id : name;
  config.kind = project::ServiceKind::container;
  config.network = "project";
  if (network == net::HostNetwork::kName || network == "none") {
    if (!ports.empty())
      return Error(Errc::invalid_input,
                   fmt::format("-p {}: a container with --network {} has no ports to publish",
                               ports.front(), network))
          .with_hint(network == "none" ? "leave out -p or --network"
                                       : "its ports are the host's own: leave out -p");
    if (network == "none") out.attachment = net::Attachment::Kind::none;
    return out;
  }
  out.attachment = net::Attachment::Kind::own;
  if (network == kOwn) {
    out.network = own_network(id);
    project::MemberConfig member;
    member.network = project::kDefaultNetwork;
    config.networks.push_back(std::move(member));
  } else {
    const std::size_t slash = network.find('/');
    const std::string project = network.substr(0, slash);
    const std::string net =
        slash == std::string::npos ? project::kDefaultNetwork : network.substr(slash + 1);
    if (!project::valid_name(project))
      return Error(Errc::invalid_input, fmt::format("invalid --network \"{}\"", network))
          .with_hint("use own, host, none, PROJECT or PROJECT/NETWORK");
    out.guest = true;
    out.network = project;
    const auto services = networks_.services(project);
    if (!services)
      return Error(Errc::not_found, fmt::format("--network {}: project {} is not up, or has no "
                                                "network of its own",
                                                network, project))
          .with_hint(
              fmt::format("bring it up: locald -p {} up; or use --network host or none", project));
    config.networks.push_back(TRY(member_of(*services, project, net)));
    for (const auto& [service, other] : *services)
      if (project::slug(service) == project::slug(config.name))
        return Error(Errc::already_exists,
                     fmt::format("the name {} is taken in project {}", config.name, project))
            .with_hint("give the container another one: --name NAME");
  }
  for (const std::string& text : ports)
    for (project::PortConfig& port : TRY(project::parse_ports(text).context("-p " + text))) {
      config.ports.push_back(TRY(choose(std::move(port)).context("-p " + text)));
      out.ports.push_back(text_of(config.ports.back()));
    }
  out.config = std::make_shared<const project::ServiceConfig>(std::move(config));
  return out;
}

Result<void> ContainerNetworks::enter(ContainerNetwork& container) {
  if (!container.connected()) return {};
  if (container.guest)
    return networks_.set_guest(container.network, container.config->name, container.config);
  // What is known of it stands in its own record: it is gone with the container.
  container.range = networks_.registry().keep_for_now(container.network, container.range);
  return networks_.define(container.network, {{container.config->name, container.config}});
}

Result<net::Attachment> ContainerNetworks::attach(const ContainerNetwork& container,
                                                  const std::stop_token& stop) {
  return networks_.attach(container.network, *container.config, stop);
}

void ContainerNetworks::set_running(const ContainerNetwork& container, bool running) {
  if (container.connected())
    networks_.set_gate(container.network, container.config->name,
                       running ? Gate::open : Gate::closed);
}

void ContainerNetworks::expect(const std::string& id, const std::string& name,
                               const std::string& network) {
  if (network != net::HostNetwork::kName && network != "none" && network != kOwn)
    networks_.expect_guest(network.substr(0, network.find('/')), name.empty() ? id : name);
}

Result<void> ContainerNetworks::adopt(ContainerNetwork& container, int shim_pid) {
  if (!container.connected()) return {};
  TRY(enter(container));
  networks_.adopt(container.network, {{container.config->name, shim_pid}});
  return {};
}

void ContainerNetworks::leave(ContainerNetwork& container) {
  if (container.connected() && container.guest)
    (void)networks_.set_guest(container.network, container.config->name, nullptr);
  container.config.reset();
}

void ContainerNetworks::end(const std::string& id) {
  networks_.end(own_network(id), /*forget=*/true);
}

}  // namespace locald::server
