#include "net/layout.h"

#include <gtest/gtest.h>

#include "net/sandbox/sandbox_testing.h"

namespace locald::net {
namespace {

using testing::address;
using testing::subnet;

Layout::Input shop() {
  Layout::Input in{subnet("10.77.0.0/16"), subnet("fd12:3456:789a::/48"), {}, {}, {}};
  in.networks = {{.name = "default", .number = 0, .subnet = {}, .allowed = {}},
                 {.name = "back", .number = 1, .internal = true, .subnet = {}, .allowed = {}}};
  in.services = {{"db", 1, {{"default", {}, {}}, {"back", {"pg"}, {}}}, 0},
                 {"web", 2, {{"default", {}, {}}}, 0},
                 {"api", 3, {}, 3000},
                 {"worker", 4, {}, 0}};
  return in;
}

TEST(Layout, GivesEachServiceAnAddressInEachOfItsNetworks) {
  const Layout layout = Layout::make(shop()).value();
  EXPECT_EQ(layout.address("db")->text(), "10.77.0.2");
  EXPECT_EQ(layout.address("web")->text(), "10.77.0.3");
  EXPECT_FALSE(layout.address("api"));
  const auto links = layout.links("db");
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links[0].bridge, "br0");
  EXPECT_EQ(links[1].bridge, "br1");
  EXPECT_EQ(links[1].name, "eth1");
  EXPECT_EQ(links[1].addresses.at(0).text(), "10.77.16.2/20");
  EXPECT_EQ(links[0].routes.at(0).text(), "10.77.0.1");
  EXPECT_TRUE(links[1].routes.empty());
  EXPECT_EQ(layout.containers(), (std::vector<std::string>{"db", "web"}));
}

TEST(Layout, NamesWhoIsInTheSameNetworkAndServicesOfTheHost) {
  const Layout layout = Layout::make(shop()).value();
  const Attachment web = layout.attachment("web");
  EXPECT_EQ(web.names.at("db"), std::vector<std::string>{"10.77.0.2"});
  EXPECT_EQ(web.names.at("web"), std::vector<std::string>{"10.77.0.3"});
  EXPECT_EQ(web.names.at("api"), std::vector<std::string>{"10.77.240.4"});
  EXPECT_FALSE(web.names.contains("pg"));
  EXPECT_FALSE(web.names.contains("worker"));
  EXPECT_EQ(web.nameservers, std::vector<std::string>{"127.0.0.11"});
  EXPECT_EQ(layout.places("db"), (std::vector<std::pair<std::string, std::string>>{
                                     {"default", "10.77.0.2"}, {"back", "10.77.16.2"}}));
  EXPECT_EQ(layout.networks_of("db"), (std::vector<std::uint32_t>{0, 1}));
  const Attachment db = layout.attachment("db");
  EXPECT_EQ(db.names.at("db"), (std::vector<std::string>{"10.77.0.2", "10.77.16.2"}));
  EXPECT_EQ(db.names.at("pg"), std::vector<std::string>{"10.77.16.2"});
  EXPECT_EQ(layout.address_for("web", "db")->text(), "10.77.0.2");
  EXPECT_EQ(layout.address_for("web", "api")->text(), "10.77.240.4");
  EXPECT_FALSE(layout.address_for("web", "nobody"));
}

TEST(Layout, NamesAreLookedUpWithoutCase) {
  Layout::Input in = shop();
  in.services[0].name = "My.DB";
  in.services[0].networks[0].aliases = {"db.shop.test"};
  const Layout layout = Layout::make(in).value();
  const Attachment web = layout.attachment("web");
  EXPECT_EQ(web.names.at("my.db"), std::vector<std::string>{"10.77.0.2"});
  EXPECT_EQ(web.names.at("db.shop.test"), std::vector<std::string>{"10.77.0.2"});
  EXPECT_EQ(layout.address("My.DB")->text(), "10.77.0.2");
}

/// A network of plugins that choose the addresses, and one of plugins that are told.
Layout::Input with_plugins() {
  Layout::Input in = shop();
  in.networks[1].plugins = true;
  in.networks[1].internal = false;
  in.networks[1].addresses_told = false;
  in.networks.push_back(
      {.name = "told", .number = 2, .subnet = {}, .allowed = {}, .plugins = true, .uplink = {}});
  in.services[1].networks.push_back({"told", {}, {}});
  return in;
}

TEST(Layout, OfPluginsItKnowsWhatTheyHaveFound) {
  Layout layout = Layout::make(with_plugins()).value();
  EXPECT_EQ(layout.bridges().size(), 1u);
  EXPECT_EQ(layout.links("db").size(), 1u);
  const auto places = layout.plugin_places("db");
  ASSERT_EQ(places.size(), 1u);
  EXPECT_EQ(places[0].network, 1u);
  EXPECT_EQ(places[0].link, "eth1");
  EXPECT_TRUE(places[0].addresses.empty());
  EXPECT_EQ(layout.attachment("db").names.at("db"), std::vector<std::string>{"10.77.0.2"});
  EXPECT_EQ(layout.policies()[1].group, kPluginGroup + 1);
  EXPECT_TRUE(layout.policies()[1].addresses.empty());
  EXPECT_EQ(layout.netd_networks().size(), 3u);

  const FoundPlace found{{subnet("10.9.0.2/24")}, {subnet("10.9.0.1/24")}, {"10.9.0.53"}, {}, {}};
  ASSERT_TRUE(layout.set_found("db", 1, found));
  EXPECT_EQ(layout.places("db")[1].second, "10.9.0.2");
  EXPECT_EQ(layout.policies()[1].addresses.at(0).text(), "10.9.0.1/24");
  ASSERT_EQ(layout.netd_networks().size(), 4u);
  EXPECT_EQ(layout.netd_networks()[3].addresses.at(0).text(), "10.9.0.1");
  EXPECT_TRUE(layout.netd_networks()[3].relays);
  EXPECT_EQ(layout.attachment("db").nameservers,
            (std::vector<std::string>{"127.0.0.11", "10.9.0.53"}));
  EXPECT_EQ(layout.attachment("db").names.at("db"),
            (std::vector<std::string>{"10.77.0.2", "10.9.0.2"}));
  bool named = false;
  for (const auto& name : layout.netd_names())
    named = named || (name.network == 1 && name.name == "pg" && name.addresses.size() == 1);
  EXPECT_TRUE(named) << "its alias is answered";

  const auto wrong =
      layout.set_found("db", 1, {{subnet("10.77.0.9/24")}, {subnet("10.77.0.1/24")}, {}, {}, {}});
  EXPECT_EQ(wrong.error().message(),
            "network back: its plugins gave db the address 10.77.0.9/24, which network default has "
            "(10.77.0.1/20)");
  EXPECT_EQ(layout.places("db")[1].second, "10.9.0.2");
}

TEST(Layout, PluginsThatAreToldHaveTheirAddressesBefore) {
  const Layout layout = Layout::make(with_plugins()).value();
  const auto places = layout.plugin_places("web");
  ASSERT_EQ(places.size(), 1u);
  EXPECT_EQ(places[0].addresses.at(0).text(), "10.77.32.3/20");
  EXPECT_EQ(places[0].mac, "02:42:0a:4d:20:03");
  EXPECT_EQ(layout.places("web")[1].second, "10.77.32.3");
  EXPECT_TRUE(layout.policies()[2].addresses.empty()) << "no gateway before there is one";
}

TEST(Layout, AServiceOfTheHostIsOnePortOfItsLoopback) {
  auto in = shop();
  in.host_access = {5432};
  const Layout layout = Layout::make(std::move(in)).value();
  const auto ports = layout.host_ports();
  ASSERT_EQ(ports.size(), 3u);
  EXPECT_EQ(ports[0].first, "api");
  EXPECT_EQ(ports[0].second.inside.address.text(), "10.77.240.4");
  EXPECT_EQ(ports[0].second.outside.address.text(), "127.0.0.1");
  EXPECT_EQ(ports[2].first, "");
  EXPECT_EQ(ports[2].second.inside.address.text(), "10.77.240.1");
  EXPECT_EQ(layout.attachment("web").names.at(Layout::kHostName),
            std::vector<std::string>{"10.77.240.1"});
}

TEST(Layout, IPv6StandsBesideIPv4WhereItIsAskedFor) {
  auto in = shop();
  in.networks[0].ipv6 = true;
  const Layout layout = Layout::make(std::move(in)).value();
  EXPECT_EQ(layout.attachment("web").names.at("db"),
            (std::vector<std::string>{"10.77.0.2", "fd12:3456:789a::2"}));
  EXPECT_EQ(layout.links("web").at(0).addresses.at(1).text(), "fd12:3456:789a::3/64");
  EXPECT_TRUE(layout.policies().at(0).relay_v6);
  EXPECT_EQ(layout.policies().at(1).relay_port, 0);
}

std::string error_of(const Layout::Input& in) {
  auto made = Layout::make(in);
  return made ? "" : made.error().message();
}

/// "network", or "network/service".
std::string misfit_of(const Layout::Input& in) {
  Layout::Misfit misfit;
  EXPECT_FALSE(Layout::make(in, &misfit));
  return misfit.service.empty() ? misfit.network : misfit.network + "/" + misfit.service;
}

TEST(Layout, SaysWhichPartDoesNotFit) {
  auto in = shop();
  in.networks[1].subnet = subnet("10.77.0.0/24");
  EXPECT_EQ(misfit_of(in), "back");
  std::swap(in.networks[0], in.networks[1]);
  EXPECT_EQ(misfit_of(in), "back");  // whichever comes first: its subnet is the file's
  in = shop();
  in.services[0].networks[0].address = address("10.78.0.3");
  EXPECT_EQ(misfit_of(in), "default/db");
  in.services[0].networks[0].address = address("10.77.0.3");
  EXPECT_EQ(misfit_of(in), "default/web");
  in = shop();
  in.networks[0].subnet = subnet("192.168.7.0/29");
  in.services[1].number = 6;
  EXPECT_EQ(misfit_of(in), "default");
}

TEST(Layout, RefusesWhatDoesNotFit) {
  auto in = shop();
  in.networks[1].subnet = subnet("10.77.0.0/24");
  EXPECT_EQ(error_of(in), "networks default and back overlap: both have 10.77.0.0/24");
  in = shop();
  in.services[0].networks[0].address = address("10.77.0.3");
  EXPECT_EQ(error_of(in), "db and web both have the address 10.77.0.3");
  in.services[0].networks[0].address = address("10.78.0.3");
  EXPECT_EQ(error_of(in),
            "db: 10.78.0.3 is not an address for services in network default (10.77.0.0/20)");
  in.services[0].networks[0].address = address("10.77.0.1");
  EXPECT_EQ(error_of(in),
            "db: 10.77.0.1 is not an address for services in network default (10.77.0.0/20)");
  in = shop();
  in.networks[0].subnet = subnet("192.168.7.0/29");
  in.services[1].number = 6;
  EXPECT_EQ(error_of(in), "network default: 192.168.7.0/29 has no address left for web");
  in = shop();
  in.services[1].networks[0].network = "front";
  EXPECT_EQ(error_of(in), "web is in an unknown network, front");
  in = shop();
  in.networks[1].subnet = subnet("10.77.240.0/24");
  EXPECT_EQ(error_of(in), "network back: 10.77.240.0/20 is where services on the host are reached");
}

}  // namespace
}  // namespace locald::net
