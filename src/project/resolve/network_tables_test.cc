// What a file says of networks and ports that cannot be, and where that is told.
#include "project/resolve/network_tables.h"

#include "project/resolve/network_testing.h"

namespace locald::project {
namespace {

/// Lines 1 to 3 of the file: [networks.back], `line`, [services.web] in it, from line 3 on.
std::string back(const std::string& line, const std::string& more = "networks=['back']\n") {
  return "[networks.back]\n" + line + "\n" + kWeb + more;
}

TEST_F(NetworkTest, ASubnetIsWhatANetworkCanHave) {
  const auto subnet = [&](const std::string& text) { return told(back("subnet='" + text + "'")); };
  EXPECT_EQ(run(back("subnet='10.100.0.0/24'")).services.at("web").networks.at(0).subnet,
            "10.100.0.0/24");
  EXPECT_EQ(subnet("127.1.0.0/16"),
            "2:8: invalid subnet 127.1.0.0/16: it overlaps 127.0.0.0/8 (loopback) (use a "
            "private network like 10.100.0.0/24)");
  EXPECT_EQ(subnet("0.0.0.0/0"),
            "2:8: invalid subnet 0.0.0.0/0: it overlaps 0.0.0.0/8 (no addresses of hosts) (use a "
            "private network like 10.100.0.0/24)");
  EXPECT_EQ(subnet("224.1.0.0/16"),
            "2:8: invalid subnet 224.1.0.0/16: it overlaps 224.0.0.0/4 (multicast) (use a "
            "private network like 10.100.0.0/24)");
  EXPECT_EQ(
      subnet("10.100.0.0/30"),
      "2:8: invalid subnet 10.100.0.0/30: it has no room for services (use a prefix from /8 to "
      "/29, as in 10.100.0.0/24)");
  EXPECT_EQ(subnet("10.100.0.7/24"),
            "2:8: invalid subnet 10.100.0.7/24: that is an address in it (write 10.100.0.0/24)");
  EXPECT_EQ(subnet("fd00::/64"),
            "2:8: invalid subnet fd00::/64: it is not an IPv4 network (ipv6 = true adds IPv6 to a "
            "network)");
  EXPECT_EQ(subnet("10.100.0.0"),
            "2:8: invalid subnet: 10.100.0.0 (an address and the length of its prefix, as in "
            "10.20.30.0/24)");
}

TEST_F(NetworkTest, APublicSubnetIsNoticed) {
  EXPECT_EQ(noticed(back("subnet='8.8.8.0/24'")),
            "network back: 8.8.8.0/24 is not a private network; services that are in it do not "
            "reach the hosts that have its addresses\n");
  EXPECT_EQ(noticed(back("subnet='192.168.7.0/24'")), "");
}

TEST_F(NetworkTest, SubnetsOfOneFileDoNotOverlap) {
  EXPECT_EQ(told("[networks.a]\nsubnet='10.100.0.0/16'\n[networks.b]\nsubnet='10.100.7.0/24'\n" +
                 kWeb + "networks=['a']\n"),
            "4:8: networks a and b overlap: 10.100.0.0/16 (line 2) and 10.100.7.0/24 (change the "
            "`subnet` of one of them)");
}

TEST_F(NetworkTest, NetworksWithoutServicesAreCheckedAndNoticed) {
  EXPECT_EQ(noticed(back("internal=true", "")), "network back (line 1): no service is in it\n");
  EXPECT_EQ(told(back("subnet='127.0.0.0/8'", "")).substr(0, 31),
            "2:8: invalid subnet 127.0.0.0/8");
  EXPECT_EQ(noticed("[project]\nhost_access=[5432]\n" + kWeb + "network='none'\n"),
            "`host_access` has no effect: no service is in a network of the project (network = "
            "\"project\" puts it there)\n");
  EXPECT_EQ(noticed("[project]\nhost_access=[5432]\n" + back("internal=true")),
            "`host_access` has no effect: all networks of the project are internal\n");
  EXPECT_EQ(noticed("[project]\nhost_access=[5432]\n" + kWeb), "");
}

TEST_F(NetworkTest, OutboundIsAWayThatThereIs) {
  EXPECT_EQ(run(back("outbound='relay'")).services.at("web").networks.at(0).outbound, "");
  EXPECT_EQ(run(back("outbound='none'")).services.at("web").networks.at(0).outbound, "none");
  EXPECT_EQ(run(back("outbound='pasta'")).services.at("web").networks.at(0).outbound, "pasta");
  EXPECT_EQ(told(back("outbound='nat'")),
            "2:10: `outbound` = \"nat\" is none of relay, pasta, none");
  EXPECT_EQ(told(back("outbound='pasta'\ninternal=true")),
            "2:10: `outbound`: nothing leaves an internal network (remove `outbound`, or "
            "`internal`)");
  EXPECT_EQ(told(back("outbound='none'\nallow=['169.254.0.0/16']")),
            "2:10: `outbound` = \"none\": what `allow` names is not reached (remove `allow`, or "
            "`outbound`)");
}

TEST_F(NetworkTest, AConfigurationListIsReadAndItsPluginsAreLookedFor) {
  programs.cni_path = {dir + "/plugins"};
  const std::string file = "back.conflist";
  const std::string cni = "cni='" + file + "'";
  const auto list = [&](const std::string& text) {
    EXPECT_TRUE(write_file_atomic(dir + "/" + file, text));
  };
  EXPECT_EQ(told(back(cni)).substr(0, 11), "2:5: `cni`:");
  list("{");
  EXPECT_EQ(told(back(cni)).substr(0, 26), "2:5: `cni`: back.conflist:");
  list(R"({"cniVersion":"1.1.0","name":"b","plugins":[{"type":"own"}]})");
  EXPECT_EQ(told(back(cni)),
            "2:5: `cni`: back.conflist: cniVersion 1.1.0 is newer than what locald speaks, 1.0.0 "
            "(write \"cniVersion\": \"1.0.0\")");
  list(R"({"cniVersion": "1.0.0", "name": "b", "plugins": [{"type": "own"}]})");
  EXPECT_EQ(told(back(cni)),
            "2:5: `cni`: back.conflist: the CNI plugin own is not in " + dir +
                "/plugins (sudo apt-get install containernetworking-plugins; other folders: "
                "`cni_path` in locald's config.toml)");
  (void)make_dirs(dir + "/plugins");
  ASSERT_TRUE(write_file_atomic(dir + "/plugins/own", "", 0755));
  EXPECT_EQ(run(back(cni)).services.at("web").networks.at(0).cni,
            R"({"cniVersion":"1.0.0","name":"b","plugins":[{"type":"own"}]})");
  EXPECT_EQ(told(back(cni + "\nsubnet='10.100.0.0/24'")).substr(0, 72),
            "3:8: `subnet` has no effect: the plugins of back.conflist choose the add");
  EXPECT_EQ(told(back(cni + "\nipv6=true")).substr(0, 34), "1:1: `ipv6` has no effect: the plu");
  EXPECT_EQ(told(back(cni, "networks=[{name='back',address='10.100.0.7'}]\n")).substr(0, 60),
            "6:32: `address` of web: the plugins of network back choose t");
}

TEST_F(NetworkTest, AllowIsForLinkLocalNetworks) {
  const auto allow = [&](const std::string& text, const std::string& more = "") {
    return told(back("allow=['" + text + "']" + more));
  };
  EXPECT_EQ(run(back("allow=['169.254.169.254/32']")).services.at("web").networks.at(0).allow,
            std::vector<std::string>{"169.254.169.254/32"});
  for (const char* other : {"10.0.0.0/8", "224.0.0.0/4", "fd00::/8", "169.0.0.0/8"})
    EXPECT_EQ(allow(other),
              std::string("2:8: `allow` of ") + other +
                  ": it is not a link-local network (`allow` is for networks in 169.254.0.0/16 and "
                  "fe80::/10; other addresses are reached without it, and multicast never leaves a "
                  "network)");
  EXPECT_EQ(allow("fe80::/10"),
            "2:8: `allow` of fe80::/10: the network has no IPv6 (add ipv6 = true)");
  EXPECT_EQ(
      allow("169.254.0.0/16", "\ninternal=true"),
      "2:8: `allow` of 169.254.0.0/16: nothing leaves an internal network (remove `allow`, or "
      "`internal`)");
}

TEST_F(NetworkTest, AnAddressIsOneForAService) {
  const auto address = [&](const std::string& text) {
    return told(
        back("subnet='10.100.0.0/24'", "networks=[{name='back',address='" + text + "'}]\n"));
  };
  const std::string hint = " (use one from 10.100.0.2 to 10.100.0.254)";
  EXPECT_EQ(run(back("subnet='10.100.0.0/24'", "networks=[{name='back',address='10.100.0.9'}]\n"))
                .services.at("web")
                .networks.at(0)
                .address,
            "10.100.0.9");
  EXPECT_EQ(address("10.100.0.0"),
            "6:32: `address` of web: 10.100.0.0 is the network's own address" + hint);
  EXPECT_EQ(address("10.100.0.1"),
            "6:32: `address` of web: 10.100.0.1 is the network's gateway" + hint);
  EXPECT_EQ(address("10.100.0.255"),
            "6:32: `address` of web: 10.100.0.255 is the network's broadcast address" + hint);
  EXPECT_EQ(address("10.101.0.9"),
            "6:32: `address` of web: 10.101.0.9 is not in network back (10.100.0.0/24)" + hint);
  EXPECT_EQ(
      told(kWeb + "networks=[{name='default',address='10.1.2.3'}]\n"),
      "4:35: `address` of web: network default has no `subnet` that it could be in (write the "
      "`subnet` into [networks.default]: 10.100.0.0/24)");
  EXPECT_EQ(told("[networks.default]\nsubnet='10.100.0.0/24'\n" + kDb +
                 "networks=[{name='default',address='10.100.0.9'}]\n" + kWeb +
                 "networks=[{name='default',address='10.100.0.9'}]\n"),
            "11:35: db (line 7) and web both have the address 10.100.0.9 (give one of them another "
            "`address`)");
}

TEST_F(NetworkTest, AnAliasIsNobodyElsesName) {
  const auto alias = [&](const std::string& name, const std::string& more = "") {
    return told(kDb + kWeb + "networks=[{name='default',aliases=['" + name + "']}]\n" + more);
  };
  EXPECT_EQ(alias("pg"), "0 problems: ");
  EXPECT_EQ(alias("web"), "0 problems: ");
  EXPECT_EQ(alias("db"),
            "8:36: alias db of web is the name of another service of network default (choose "
            "another alias: a name leads to one service)");
  EXPECT_EQ(alias("api", "[services.api]\ncommand='x'\nport=3000\n").substr(0, 29),
            "8:36: alias api of web is the");
  EXPECT_EQ(alias("api", "[services.api]\ncommand='x'\n"), "0 problems: ");
  EXPECT_EQ(alias("db.shop.test"), "0 problems: ");
  EXPECT_EQ(alias("DB"), alias("db")) << "names are looked up without case";
  for (const std::string bad : {"A b", ".x", "x.", "a..b"})
    EXPECT_EQ(alias(bad), "8:36: \"" + bad +
                              "\" cannot be an alias (use letters, digits, -, _ and dots between "
                              "them)");
  // In another network it is.
  EXPECT_EQ(told("[networks.back]\n" + kDb + kWeb + "networks=[{name='back',aliases=['db']}]\n"),
            "0 problems: ");
}

TEST_F(NetworkTest, AListOfNoNetworksIsAMistake) {
  EXPECT_EQ(told(kWeb + "networks=[]\n"),
            "4:10: `networks` names no network (for a service without a network write network = "
            "\"none\"; without `networks` it is in the network \"default\")");
}

TEST_F(NetworkTest, APortOfTheHostIsOneServices) {
  EXPECT_EQ(told(kDb + "port=8080\n" + kWeb + "ports=['8080:80']\n"),
            "9:8: port 8080 is wanted by two services, db (line 5) and web (give one another, or "
            "port = \"auto\", which is a free one)");
  EXPECT_EQ(told(kDb + "ports=['0.0.0.0:8080:80']\n" + kWeb + "ports=['8080:80']\n").substr(0, 22),
            "9:8: port 8080 is want");
  EXPECT_EQ(told(kDb + "ports=['192.168.7.1:8080:80']\n" + kWeb + "ports=['8080:80']\n"),
            "0 problems: ");
  EXPECT_EQ(told(kDb + "ports=['[::1]:8080:80']\n" + kWeb + "ports=['8080:80']\n"), "0 problems: ");
  EXPECT_EQ(told(kDb + "ports=['53:53']\n" + kWeb + "ports=['53:53/udp']\n"), "0 problems: ");
  EXPECT_EQ(told(kWeb + "ports=['8086:80','[::1]:8086:80','8086:80/udp']\n"), "0 problems: ");
  EXPECT_EQ(told(kWeb + "ports=['8086:80','127.0.0.1:8086:81']\n"),
            "4:18: web publishes port 8086 twice (line 4) (remove one of the two)");
  EXPECT_EQ(told(kWeb + "port=8086\nports=['8086:80']\n"),
            "5:8: web publishes port 8086 twice (line 4) (remove one of the two)");
  // Whatever the variables are that it comes from.
  EXPECT_EQ(told(kDb + "port=8080\n" + kWeb + "ports=['${P}:80']\n", {{"P", "8080"}}).substr(0, 22),
            "9:8: port 8080 is want");
  // One on the host listens at an address that only it knows.
  EXPECT_EQ(told(kWeb + "ports=['[::1]:3000:80']\n[services.api]\ncommand='x'\nport=3000\n"),
            "4:8: port 3000 is wanted by two services, api (line 7) and web (give one another, or "
            "port = \"auto\", which is a free one)");
  EXPECT_EQ(told("[services.a]\ncommand='x'\nport=3000\n[services.b]\ncommand='x'\nport=3000\n"),
            "6:6: port 3000 is wanted by two services, a (line 3) and b (give one another, or port "
            "= \"auto\")");
  fallback = NetworkUse::Mode::host;
  EXPECT_EQ(told(kDb + kWeb + "container_port=5432\n"),
            "8:16: port 5432 is wanted by two services, db (line 4) and web (let one listen on "
            "another port)");
}

TEST_F(NetworkTest, ACycleOfSharedNetworksIsToldOnce) {
  const std::string c = "[services.c]\ntype='container'\nimage='x'\n";
  EXPECT_EQ(
      told(kWeb + "network='service:db'\n" + kDb + "network='service:c'\n" + c +
           "network='service:web'\n"),
      "13:9: services share each other's network in a cycle: c -> web -> db -> c (give one of "
      "them a network of its own: network = \"project\")");
  EXPECT_EQ(told(kWeb + "network='service:web'\n"),
            "4:9: web cannot share its own network (write network = \"project\", or the name of "
            "another service)");
  EXPECT_EQ(told(kWeb + "network='service:bd'\n" + kDb),
            "4:9: `network`: there is no service 'bd' (did you mean \"service:db\"?)");
  // One edge is a dependency that the file does not write.
  EXPECT_EQ(told(kWeb + "network='service:db'\n" + kDb + "depends_on=['web']\n"),
            "9:13: services depend on each other in a cycle: db -> web -> db (web waits for db, "
            "whose network it shares: remove the `depends_on` of db)");
}

TEST_F(NetworkTest, AProjectIsInNoServicesNetwork) {
  EXPECT_EQ(told("[project]\nnetwork='service:db'\n" + kWeb + kDb),
            "2:9: [project] network = \"service:db\": that is for a service, not for all (write it "
            "into those that share the network of db, and network = \"project\" here)");
}

TEST_F(NetworkTest, AReferenceThatReachesNothingSaysWhy) {
  const std::string api = "[services.api]\ncommand='x'\nenv={D='${services.db.host}'}\n";
  EXPECT_EQ(told(api + kDb + "network='none'\n"),
            "3:8: nothing reaches db: its `network` is \"none\" (give db network = \"project\", or "
            "remove the reference)");
  EXPECT_EQ(told(api + kDb + "network='service:web'\n" + kWeb),
            "3:8: db publishes no port: it is in the network of web (publish its port at web, and "
            "refer to that one: ${services.web.host})");
  EXPECT_EQ(
      told(kWeb + "network='none'\nenv={D='${services.db.host}'}\n" + kDb),
      "5:8: web reaches nothing: its `network` is \"none\" (give web network = \"project\", or "
      "remove the reference)");
  EXPECT_EQ(told(back("internal=true", "networks=['back']\nenv={A='${services.api.url}'}\n") +
                 "[services.api]\ncommand='x'\nport=3000\n"),
            "7:8: web does not reach api on the host: its networks are internal (add a network "
            "without `internal` to its `networks`)");
}

TEST_F(NetworkTest, WithoutANetworkNothingIsPublished) {
  const Resolved r = run(kWeb + "network='none'\ncontainer_port=80\n");
  EXPECT_EQ(r.services.at("web").port, 0);
  EXPECT_TRUE(r.services.at("web").ports.empty());
  const Resolved shared = run(kDb + kWeb + "network='service:db'\ncontainer_port=80\n");
  EXPECT_EQ(shared.services.at("web").port, 0);
  EXPECT_TRUE(shared.services.at("web").ports.empty());
}

}  // namespace
}  // namespace locald::project
