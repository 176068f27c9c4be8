#include "server/networks/network_trial.h"

#include "base/strings.h"
#include "net/layout.h"
#include "server/networks/netd.h"
#include "server/networks/network_job.h"

namespace locald::server {
namespace {

/// One service in one network, whose addresses nobody else sees.
Result<net::Layout> small_layout() {
  net::Layout::Input in;
  in.range = TRY(net::Subnet::parse("10.127.0.0/16"));
  in.range_v6 = TRY(net::Subnet::parse("fd00:10ca:1d::/48"));
  in.networks.push_back(
      {.name = "default", .number = 0, .ipv6 = true, .subnet = {}, .allowed = {}});
  in.services.push_back({"trial", 1, {{"default", {}, {}}}, 0});
  return net::Layout::make(std::move(in));
}

Result<void> answers(const Netd::Start& start) {
  Netd netd = TRY(Netd::start(start));
  const auto version = netd.connections().version();
  netd.end();
  if (!version) return version.error();
  return {};
}

}  // namespace

NetworkTrial try_network(builder::Environment& environment, runtime::UserNamespace& user_namespace,
                         const Paths& paths, const std::string& netd, const std::stop_token& stop) {
  NetworkTrial out;
  const auto made = [&]() -> Result<MadeNetwork> {
    const net::Layout layout = TRY(small_layout());
    return make_network(environment, {layout, nullptr, {0}, {{"trial", {}}}, "x"}, stop);
  }();
  if (!made) {
    out.network = made.error();
    return out;
  }
  out.netd = [&]() -> Result<void> {
    // A name that no project has.
    return answers({.paths = paths,
                    .program = netd,
                    .project = ".trial-" + random_hex(4),
                    .sandbox = made->sandbox->get(),
                    .user_namespace = TRY(user_namespace.fd())});
  }();
  return out;
}

}  // namespace locald::server
