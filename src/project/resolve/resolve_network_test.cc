// Networks and ports of a project file, with all values put in.
#include "project/resolve/resolve_network.h"

#include <gtest/gtest.h>

#include "project/canonical_text.h"
#include "project/resolve/network_testing.h"

namespace locald::project {
namespace {

TEST_F(NetworkTest, AReferenceIsWhatItsReaderReaches) {
  ports = {{"db", 40001}};
  const std::string env =
      "env={DB='${services.db.host}:${services.db.port}',API='${services.api.url}',"
      "WEB='${services.web.url}'}\n";
  const Resolved r = run(kWeb + "container_port=80\nport=8080\n" + env + kDb +
                         "[services.api]\ncommand='x'\nport=3000\n" + env);
  ASSERT_EQ(describe(r.problems), "");
  const auto& inside = r.services.at("web").env;
  EXPECT_EQ(inside.at("DB"), "db:5432");
  EXPECT_EQ(inside.at("API"), "http://api:3000");
  const auto& host = r.services.at("api").env;
  EXPECT_EQ(host.at("DB"), "127.0.0.1:40001");  // nothing of it is published else
  EXPECT_EQ(host.at("WEB"), "http://127.0.0.1:8080");
  EXPECT_EQ(r.services.at("db").ports,
            (std::vector<PortConfig>{{.address = "", .port = 40001, .container_port = 0}}));
  // Names stay what they are: only what is on the host may turn out to listen elsewhere.
  EXPECT_TRUE(r.services.at("web").late.empty());
}

TEST_F(NetworkTest, PortsToChooseAreThoseOfTheFileAndOfReferencesFromTheHost) {
  const ProjectSpec shop =
      spec(kWeb + "ports=['80','127.0.0.1::443','8000-8009:81','9000:82']\n" + kDb +
           "[services.api]\ncommand='x'\nport='auto'\nenv={DB='${services.db.url}'}\n");
  const auto chosen = ports_to_choose(shop, {shop, {}});
  std::string keys;
  for (const auto& [key, range] : chosen)
    keys += key + "=" + std::to_string(range.first) + "-" + std::to_string(range.second) + " ";
  EXPECT_EQ(keys, "api=0-0 db=0-0 web:443@127.0.0.1=0-0 web:80=0-0 web:81(8000-8009)=8000-8009 ");
}

TEST_F(NetworkTest, APublishedPortThatNeedsPrivilegesIsRefusedWithTheWaysOut) {
  rights.first_port = 1024;
  const std::string ways =
      "`locald up --low-ports=+8000` (or low_ports = \"+8000\" below [project]), or allow them: "
      "sudo sysctl net.ipv4.ip_unprivileged_port_start=";
  EXPECT_EQ(told(kWeb + "ports=['80']\n"), "0 problems: ");
  EXPECT_EQ(
      told(kWeb + "ports=['81:80']\n"),
      "4:8: port 81 needs privileges (write ports = [\"8081:80\"], move all such ports with " +
          ways + "81)");
  EXPECT_EQ(
      told(kWeb + "port=81\ncontainer_port=80\n"),
      "4:6: port 81 needs privileges (write ports = [\"8081:80\"], move all such ports with " +
          ways + "81)");
  EXPECT_EQ(told("[services.api]\ncommand='x'\nport=81\n"),
            "3:6: port 81 needs privileges (use a port from 1024 on, or: sudo sysctl "
            "net.ipv4.ip_unprivileged_port_start=81)");
  rights.first_port = 80;
  EXPECT_EQ(told(kWeb + "ports=['80:80']\n"), "0 problems: ");
}

TEST_F(NetworkTest, LowPortsMovesWhatNeedsPrivilegesAndNothingElse) {
  const std::string file = "[project]\nlow_ports='+8000'\n" + kWeb +
                           "ports=['80:80','1024:81','70-79:82']\n" + kDb +
                           "port=543\n[services.api]\ncommand='x'\nport=3000\n"
                           "env={DB='${services.db.url}'}\n";
  rights.first_port = 1024;
  const ProjectSpec shop = spec(file);
  const auto chosen = ports_to_choose(shop, {shop, rights});
  EXPECT_EQ(chosen.at("web:82(70-79)"), (std::pair<int, int>{8070, 8079}));
  ports = {{"web:82(70-79)", 8071}};
  const Resolved r = run(file);
  ASSERT_EQ(describe(r.problems), "");
  const auto& web = r.services.at("web");
  ASSERT_EQ(web.ports.size(), 3u);
  EXPECT_EQ(web.ports[0].port, 8080);
  EXPECT_EQ(web.ports[0].container_port, 80);
  EXPECT_EQ(web.ports[1].port, 1024);
  EXPECT_EQ(web.ports[2].port, 8071);
  EXPECT_EQ(web.port, 8080);
  EXPECT_EQ(r.services.at("db").ports[0].port, 8543);
  EXPECT_EQ(r.services.at("api").env.at("DB"), "http://127.0.0.1:8543");
  ASSERT_EQ(r.notices.size(), 3u);
  EXPECT_EQ(r.notices[0].second, "port 543 needs privileges: it is published at 8543 instead");
  // With the right to listen there nothing moves.
  rights.first_port = 0;
  ports = {{"web:82(70-79)", 71}};
  EXPECT_EQ(run(file).services.at("web").ports[0].port, 80);
}

TEST_F(NetworkTest, LowPortsAreAPlusAndANumber) {
  for (const std::string text : {"8000", "+80000", "+10", "+", "+8e3", "-8000"}) {
    const std::string said = told("[project]\nlow_ports='" + text + "'\n" + kWeb);
    EXPECT_TRUE(said.starts_with("2:11: invalid low_ports \"" + text + "\": ")) << said;
  }
  rights.first_port = 1024;
  EXPECT_EQ(told("[project]\nlow_ports='+64511'\n" + kWeb + "ports=['1000-1023:80-103']\n"),
            "0 problems: ");
  rights.first_port = 2000;
  EXPECT_EQ(told("[project]\nlow_ports='+64511'\n" + kWeb + "ports=['1025:80']\n"),
            "6:8: low_ports moves port 1025 to 65536: ports go to 65535");
}

TEST_F(NetworkTest, APortLeadsToWhereTheServiceListens) {
  ports = {{"web:80", 40002}};
  const Resolved r = run(kWeb + "port=8080\nports=['80','[::1]:8443:443','5353:53/udp']\n");
  ASSERT_EQ(describe(r.problems), "");
  const ServiceConfig& web = r.services.at("web");
  EXPECT_EQ(web.container_port, 8080);  // nothing says another
  ASSERT_EQ(web.ports.size(), 4u);
  EXPECT_EQ(web.ports[0].port, 8080);
  EXPECT_EQ(web.ports[1].port, 40002);
  EXPECT_EQ(web.ports[2].address, "::1");
  EXPECT_TRUE(web.ports[3].udp);
  EXPECT_EQ(ServiceConfig::from_json(web.to_json()).value().ports, web.ports);
  EXPECT_EQ(ServiceConfig::from_json(web.to_json()).value().networks, web.networks);
}

TEST_F(NetworkTest, WhatIsPublishedDoesNotMakeAnotherContainer) {
  const auto text = [&](const std::string& more) {
    return canonical_text(run(kWeb + more).services.at("web"));
  };
  EXPECT_EQ(text("container_port=80\nport=8080\n"), text("container_port=80\nports=['8081:80']\n"));
  // Where it listens the host's side asks, not the container; an app is told in its environment.
  EXPECT_EQ(text("container_port=80\n"), text("container_port=81\n"));
  EXPECT_NE(text("container_port=80\nhealth={tcp=true}\n"),
            text("container_port=81\nhealth={tcp=true}\n"));
  const auto app = [&](const std::string& port) {
    return canonical_text(
        run("[services.app]\ntype='cnb'\nbuilder='b'\npath='.'\n" + port).services.at("app"));
  };
  EXPECT_EQ(app("port=9000\n"), app("port=9001\n"));
  EXPECT_NE(text("network='none'\n"), text("network='project'\n"));
  fallback = NetworkUse::Mode::host;
  // On the host's network nothing is said of networks: records of earlier versions are the same.
  EXPECT_EQ(text("container_port=80\n").find("network"), std::string::npos);
}

TEST_F(NetworkTest, AnAppIsToldItsPort) {
  ports = {{"app", 40003}};
  const Resolved r = run("[services.app]\ntype='cnb'\nbuilder='b'\npath='.'\nport='auto'\n");
  EXPECT_EQ(r.services.at("app").env.at("PORT"), "8080");
  EXPECT_EQ(r.services.at("app").port, 40003);
}

TEST_F(NetworkTest, ServicesThatShareNoNetworkAreTold) {
  EXPECT_EQ(problem_of("[networks.back]\ninternal=true\n" + kWeb +
                       "networks=['default']\nenv={DB='${services.db.url}'}\n" + kDb +
                       "networks=['back']\n"),
            "web and db are in no network together");
  EXPECT_EQ(problem_of(kWeb + "env={DB='${services.db.url}'}\n" + kDb + "network='service:web'\n"),
            "");
}

TEST_F(NetworkTest, OneWhoseNetworkIsSharedIsADependency) {
  const Resolved r = run(kWeb + "network='service:db'\n" + kDb);
  ASSERT_EQ(r.services.at("web").depends_on.size(), 1u);
  EXPECT_EQ(r.services.at("web").network, "service:db");
  EXPECT_TRUE(r.services.at("web").networks.empty());
}

TEST_F(NetworkTest, AHealthCheckAsksInside) {
  const auto health = [&](const std::string& check) {
    return run(kWeb + "container_port=80\nport=8080\nhealth={" + check + "}\n" + kDb)
        .services.at("web")
        .health;
  };
  EXPECT_EQ(health("http='/'").host, "");
  EXPECT_EQ(health("http='/'").port, 80);
  EXPECT_EQ(health("tcp=9000").host, "localhost");
  EXPECT_EQ(health("tcp='db:5432'").host, "db");
  EXPECT_EQ(health("tcp='[::1]:5432'").host, "::1");
  EXPECT_EQ(told(kWeb + "container_port=80\nhealth={tcp='zz:80'}\n"),
            "5:13: \"zz\" is neither an address nor a service of this project (write an address: "
            "other names are not looked up)");
  EXPECT_EQ(told(kWeb + "container_port=80\nhealth={http='http://bad:80/'}\n").substr(0, 20),
            "5:14: \"bad\" is neith");
}

}  // namespace
}  // namespace locald::project
