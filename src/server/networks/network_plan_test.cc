#include "server/networks/network_plan.h"

#include <gtest/gtest.h>

#include <set>

namespace locald::server {
namespace {

/// Services with their numbers: what the registry gives them.
struct PlannedProject {
  NetworkServices services;
  NetworkRegistry::Project numbers{
      .range = "10.80.0.0/16", .networks = {}, .services = {}, .ports = {}};

  void add(const project::ServiceConfig& config) {
    numbers.services.emplace(config.name, numbers.services.size() + 1);
    for (const auto& member : config.networks)
      numbers.networks.emplace(network_key(member), numbers.networks.size());
    services[config.name] = std::make_shared<const project::ServiceConfig>(config);
  }
  Result<NetworkPlan> plan(net::Layout::Misfit* misfit = nullptr) const {
    return plan_network(services, numbers, range_v6("shop"), misfit);
  }
};

project::MemberConfig member(const std::string& network) {
  project::MemberConfig out;
  out.network = network;
  return out;
}

project::ServiceConfig container(const std::string& name,
                                 std::vector<project::MemberConfig> networks) {
  project::ServiceConfig out;
  out.name = name;
  out.network = "project";
  out.networks = std::move(networks);
  return out;
}

std::string address_of(const net::Attachment& seen, const std::string& name) {
  const auto known = seen.names.find(name);
  return known == seen.names.end() || known->second.empty() ? "" : known->second.front();
}

TEST(NetworkPlan, IsWhatTheServicesSay) {
  PlannedProject shop;
  auto web = container("web", {member("front"), member("back")});
  web.container_port = 80;
  web.ports = {{.address = "", .port = 8080, .container_port = 0},
               {.address = "::1", .port = 5353, .container_port = 53, .udp = true},
               {.address = "", .port = 0, .container_port = 9}};
  web.networks[1].outbound = "pasta";
  shop.add(web);
  shop.add(container("db", {member("back")}));
  project::ServiceConfig side;
  side.name = "side";
  side.network = "service:web";
  shop.add(side);
  project::ServiceConfig job;
  job.name = "job";
  job.network = "none";
  shop.add(job);
  project::ServiceConfig api;
  api.name = "api/v1";
  api.network = "host";
  api.port = 3000;
  shop.add(api);

  auto db = *shop.services.at("db");
  db.networks[0].outbound = "pasta";
  shop.services["db"] = std::make_shared<const project::ServiceConfig>(db);
  shop.numbers.networks.erase("back");
  const auto plan = shop.plan();
  ASSERT_TRUE(plan) << plan.error().text();
  EXPECT_TRUE(plan->uplink);
  EXPECT_TRUE(plan->plugins.empty());
  EXPECT_EQ(plan->shared, (std::map<std::string, std::string>{{"side", "web"}}));
  EXPECT_EQ(plan->member("side"), "web");
  EXPECT_EQ(plan->member("db"), "db");
  EXPECT_EQ(plan->layout.containers(), (std::vector<std::string>{"db", "web"}));
  ASSERT_EQ(plan->ports.size(), 2u) << "one without a port yet is not published";
  EXPECT_EQ(plan->ports[0].outside.address.text(), "127.0.0.1");
  EXPECT_EQ(plan->ports[0].outside.port, 8080);
  EXPECT_EQ(plan->ports[0].inside, 80) << "the service's own";
  EXPECT_TRUE(plan->ports[1].udp);
  EXPECT_EQ(plan->ports[1].inside, 53);
  // One that shares web's network is reached where web is; one on the host where it stands.
  const net::Attachment seen = plan->layout.attachment("db");
  EXPECT_EQ(address_of(seen, "side"), address_of(seen, "web"));
  EXPECT_NE(address_of(seen, "web"), "");
  EXPECT_NE(address_of(seen, project::slug("api/v1")), "");
  EXPECT_EQ(address_of(seen, "job"), "");
}

TEST(NetworkPlan, NamesTheNetworkThatDoesNotFit) {
  PlannedProject shop;
  auto one = member("one"), two = member("two");
  one.subnet = "10.90.0.0/24";
  two.subnet = "10.90.0.128/25";
  shop.add(container("web", {one}));
  shop.add(container("db", {two}));
  net::Layout::Misfit misfit;
  const auto plan = shop.plan(&misfit);
  ASSERT_FALSE(plan);
  EXPECT_EQ(misfit.network, "two");
  EXPECT_EQ(misfit.service, "");
}

TEST(NetworkPlan, ASubnetWhereTheMachineReachesOthersIsSaid) {
  PlannedProject shop;
  auto back = member("back");
  back.subnet = "192.168.7.0/24";
  shop.add(container("web", {back, member("default")}));
  shop.add(container("db", {back}));
  const auto none = [] { return std::vector<net::HostRoute>(); };
  EXPECT_TRUE(subnet_notices(shop.services, none).empty());
  const auto notices = subnet_notices(shop.services, [] {
    return std::vector<net::HostRoute>{{net::Subnet::parse("10.0.0.0/8").value(), "tun0"},
                                       {net::Subnet::parse("192.168.0.0/16").value(), "eth0"}};
  });
  ASSERT_EQ(notices.size(), 1u) << "once, not for each service";
  EXPECT_EQ(
      notices[0],
      "network back: this machine reaches 192.168.0.0/16 by eth0, and services in the network "
      "do not, since its subnet is 192.168.7.0/24; write another subnet, or leave it out");
}

TEST(NetworkPlan, AnotherDefinitionIsAnotherNetwork) {
  auto back = member("back");
  const std::string plain = network_key(back);
  EXPECT_EQ(plain, "back") << "as records of networks without settings have it";
  std::set<std::string> keys{plain};
  const auto differs = [&](auto change) {
    project::MemberConfig other = back;
    change(other);
    return keys.insert(network_key(other)).second;
  };
  EXPECT_TRUE(differs([](auto& m) { m.subnet = "10.1.0.0/24"; }));
  EXPECT_TRUE(differs([](auto& m) { m.internal = true; }));
  EXPECT_TRUE(differs([](auto& m) { m.ipv6 = true; }));
  EXPECT_TRUE(differs([](auto& m) { m.allow = {"169.254.1.0/24"}; }));
  EXPECT_TRUE(differs([](auto& m) { m.cni = "{}"; }));
  EXPECT_TRUE(differs([](auto& m) { m.outbound = "none"; }));
  // A name or an address of a service in it is not.
  EXPECT_FALSE(differs([](auto& m) { m.aliases = {"pg"}; }));
}

}  // namespace
}  // namespace locald::server
