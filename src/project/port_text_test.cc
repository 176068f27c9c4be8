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
  EXPECT_EQ(read(""), "invalid port \"\": ports go from 1 to 65535");
  EXPECT_EQ(read("0:80"), "invalid port \"0:80\": ports go from 1 to 65535");
  EXPECT_EQ(read("80:70000"), "invalid port \"80:70000\": ports go from 1 to 65535");
  EXPECT_EQ(read("90-80:90-80"), "invalid port \"90-80:90-80\": ports go from 1 to 65535");
  EXPECT_EQ(read("8000-8002:80-81"),
            "invalid port \"8000-8002:80-81\": 3 ports of the host for 2 of the service");
  EXPECT_EQ(read("localhost:80:80"),
            "invalid port \"localhost:80:80\": \"localhost\" is not an address");
  EXPECT_EQ(read("53:53/sctp"), "invalid port \"53:53/sctp\": \"sctp\" is neither tcp nor udp");
  EXPECT_EQ(read(":80"), "invalid port \":80\": there is nothing before the colon");
}

TEST(PortText, AChosenPortIsRememberedByWhatWasWritten) {
  EXPECT_EQ(port_key("web", parse_ports("80").value().at(0)), "web:80");
  EXPECT_EQ(port_key("web", parse_ports("[::1]::53/udp").value().at(0)), "web:53/udp@::1");
  EXPECT_EQ(port_key("web", parse_ports("8000-8009:80").value().at(0)), "web:80(8000-8009)");
}

}  // namespace
}  // namespace locald::project
