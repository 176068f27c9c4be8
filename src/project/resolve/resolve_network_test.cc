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
  const auto chosen = ports_to_choose(
      spec(kWeb + "ports=['80','127.0.0.1::443','8000-8009:81','9000:82']\n" + kDb +
           "[services.api]\ncommand='x'\nport='auto'\nenv={DB='${services.db.url}'}\n"));
  std::string keys;
  for (const auto& [key, range] : chosen)
    keys += key + "=" + std::to_string(range.first) + "-" + std::to_string(range.second) + " ";
  EXPECT_EQ(keys, "api=0-0 db=0-0 web:443@127.0.0.1=0-0 web:80=0-0 web:81(8000-8009)=8000-8009 ");
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
