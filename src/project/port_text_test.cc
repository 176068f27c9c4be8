#include "project/port_text.h"

#include <gtest/gtest.h>

namespace locald::project {
namespace {

std::string read(std::string_view text) {
  const auto ports = parse_ports(text);
  if (!ports) return ports.error().message();
  std::string out;
  for (const PortConfig& p : *ports) {
    if (!out.empty()) out += " ";
    if (!p.address.empty()) out += p.address + "|";
    out += std::to_string(p.port);
    if (p.last != 0) out += "-" + std::to_string(p.last);
    out += ">" + std::to_string(p.container_port) + (p.udp ? "u" : "");
  }
  return out;
}

TEST(PortText, ReadsWhatComposeFilesHave) {
  EXPECT_EQ(read("80"), "0>80");
  EXPECT_EQ(read("8080:80"), "8080>80");
  EXPECT_EQ(read("127.0.0.1:8080:80"), "127.0.0.1|8080>80");
  EXPECT_EQ(read("127.0.0.1::80"), "127.0.0.1|0>80");
  EXPECT_EQ(read("[::1]:53:53/udp"), "::1|53>53u");
  EXPECT_EQ(read("::1:8080:80"), "::1|8080>80");
  EXPECT_EQ(read("0.0.0.0:9000-9002:9000-9002"),
            "0.0.0.0|9000>9000 0.0.0.0|9001>9001 0.0.0.0|9002>9002");
  EXPECT_EQ(read("3000-3001"), "0>3000 0>3001");
  EXPECT_EQ(read("8000-8009:80/tcp"), "8000-8009>80");
}

TEST(PortText, SaysWhatIsWrong) {
  EXPECT_EQ(read(""), "invalid port \"\": there is no port");
  EXPECT_EQ(read("0:80"), "invalid port \"0:80\": 0 is out of range: ports go from 1 to 65535");
  EXPECT_EQ(read("80:70000"),
            "invalid port \"80:70000\": 70000 is out of range: ports go from 1 to 65535");
  EXPECT_EQ(read("99999999999999999999999"),
            "invalid port \"99999999999999999999999\": 99999999999999999999999 is out of range: "
            "ports go from 1 to 65535");
  EXPECT_EQ(read("http:80"), "invalid port \"http:80\": \"http\" is not a port");
  EXPECT_EQ(read("90-80:90-80"),
            "invalid port \"90-80:90-80\": the range 90-80 ends before it begins");
  EXPECT_EQ(read("80-:80"), "invalid port \"80-:80\": \"\" is not a port");
  EXPECT_EQ(read("8000-8002:80-81"),
            "invalid port \"8000-8002:80-81\": 3 ports of the host for 2 ports of the service");
  EXPECT_EQ(read("8000:80-81"),
            "invalid port \"8000:80-81\": 1 port of the host for 2 ports of the service");
  EXPECT_EQ(read("localhost:80:80"),
            "invalid port \"localhost:80:80\": \"localhost\" is not an address");
  EXPECT_EQ(parse_ports("localhost:80:80").error().hint(), "write 127.0.0.1 or [::1]");
  EXPECT_EQ(read("127.0.0.1:80"), "invalid port \"127.0.0.1:80\": a port of 127.0.0.1 is missing");
  EXPECT_EQ(parse_ports("127.0.0.1:80").error().hint(),
            "write \"127.0.0.1:8080:80\", or \"127.0.0.1::80\" (any free port)");
  EXPECT_EQ(read("[::ffff:127.0.0.1]:80:80"),
            "invalid port \"[::ffff:127.0.0.1]:80:80\": ::ffff:127.0.0.1 is an IPv4 address in the "
            "form of IPv6");
  EXPECT_EQ(read("53:53/sctp"), "invalid port \"53:53/sctp\": \"sctp\" is neither tcp nor udp");
  EXPECT_EQ(read(":80"), "invalid port \":80\": there is nothing before the colon");
  EXPECT_EQ(read("80:"), "invalid port \"80:\": there is nothing after the colon");
}

TEST(PortText, AChosenPortIsRememberedByWhatWasWritten) {
  EXPECT_EQ(port_key("web", parse_ports("80").value().at(0)), "web:80");
  EXPECT_EQ(port_key("web", parse_ports("[::1]::53/udp").value().at(0)), "web:53/udp@::1");
  EXPECT_EQ(port_key("web", parse_ports("8000-8009:80").value().at(0)), "web:80(8000-8009)");
}

TEST(PortText, PortsCollideOnlyWhereBothCannotBeTaken) {
  const auto collide = [](std::string_view one, std::string_view other) {
    const auto a = parse_ports(one).value().at(0), b = parse_ports(other).value().at(0);
    EXPECT_EQ(project::collide(a, b), project::collide(b, a));
    return project::collide(a, b);
  };
  EXPECT_TRUE(collide("8080:80", "8080:81"));
  EXPECT_TRUE(collide("8080:80", "127.0.0.1:8080:80"));
  EXPECT_TRUE(collide("8080:80", "0.0.0.0:8080:80"));
  EXPECT_TRUE(collide("[::1]:8080:80", "[::]:8080:80"));
  EXPECT_FALSE(collide("8080:80", "8081:80"));
  EXPECT_FALSE(collide("8080:80", "127.0.0.2:8080:80"));
  EXPECT_FALSE(collide("8080:80", "[::1]:8080:80"));
  EXPECT_FALSE(collide("0.0.0.0:8080:80", "[::]:8080:80"));
  EXPECT_FALSE(collide("53:53", "53:53/udp"));
  EXPECT_FALSE(collide("80", "81"));  // chosen: two others
}

TEST(PortText, ALineSaysWhereAPortLeads) {
  const auto line = [](std::string_view text) {
    return port_line(parse_ports(text).value().at(0), 0);
  };
  EXPECT_EQ(line("8080:80"), "127.0.0.1:8080->80");
  EXPECT_EQ(line("[::1]:53:5353/udp"), "[::1]:53->5353/udp");
  EXPECT_EQ(port_line({.address = "", .port = 8080, .container_port = 0}, 3000),
            "127.0.0.1:8080->3000");
}

}  // namespace
}  // namespace locald::project
