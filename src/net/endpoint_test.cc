#include "net/endpoint.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace locald::net {
namespace {

Listener at(const std::string& address, ino_t inode, bool dual = false, uid_t uid = 1000) {
  Listener l;
  l.address = address;
  l.port = 80;
  l.inode = inode;
  l.dual = dual;
  l.uid = uid;
  return l;
}

/// The host that a service is reached at, whose listeners have the inodes from 100 on; "" for none.
std::string host(const std::vector<Listener>& all, std::set<uid_t> unreadable = {},
                 std::set<ino_t> others = {}) {
  TreeListeners own;
  own.unreadable = std::move(unreadable);
  own.others = std::move(others);
  for (const Listener& l : all)
    if (l.inode >= 100) own.listeners.push_back(l);
  const EndpointLook look = choose_endpoint(80, all, own);
  EXPECT_EQ(look.sockets.size(), all.size());
  return look.endpoint ? look.endpoint->host : "";
}

TEST(Endpoint, WritesAnIPv6AddressInBrackets) {
  Endpoint e;
  e.port = 8080;
  EXPECT_EQ(e.url(), "http://127.0.0.1:8080");
  e.host = "::1";
  EXPECT_EQ(e.url(), "http://[::1]:8080");
}

TEST(Endpoint, IsTheFamilyThatTheServiceListensOn) {
  EXPECT_EQ(host({}), "");
  EXPECT_EQ(host({at("127.0.0.1", 100)}), "127.0.0.1");
  EXPECT_EQ(host({at("0.0.0.0", 100)}), "127.0.0.1");
  EXPECT_EQ(host({at("::1", 100)}), "::1");
  EXPECT_EQ(host({at("::", 100, /*dual=*/true)}), "127.0.0.1");
  EXPECT_EQ(host({at("::", 100, /*dual=*/false)}), "::1");
  EXPECT_EQ(host({at("::1", 100), at("127.0.0.1", 101)}), "127.0.0.1");
  EXPECT_EQ(host({at("192.0.2.7", 100)}), "192.0.2.7");
  EXPECT_EQ(host({at("::ffff:127.0.0.1", 100)}), "127.0.0.1");
}

TEST(Endpoint, IsNeverWhereSomebodyElseAnswers) {
  EXPECT_EQ(host({at("::1", 1)}), "");
  EXPECT_EQ(host({at("::1", 1), at("127.0.0.1", 100)}), "127.0.0.1");
  EXPECT_EQ(host({at("127.0.0.1", 1), at("::1", 100)}), "::1");
  // The exact address comes before all addresses, whoever was first.
  EXPECT_EQ(host({at("127.0.0.1", 1), at("0.0.0.0", 100)}), "");
  EXPECT_EQ(host({at("127.0.0.1", 1), at("::", 100, true)}), "::1");
  // SO_REUSEPORT: the kernel gives a connection to either.
  EXPECT_EQ(host({at("127.0.0.1", 100), at("127.0.0.1", 1)}), "");
  EXPECT_EQ(host({at("127.0.0.1", 100), at("127.0.0.1", 101)}), "127.0.0.1");
  // A user of an own process that may not be looked into.
  EXPECT_EQ(host({at("127.0.0.1", 1, false, 0)}, {0}), "127.0.0.1");
  EXPECT_EQ(host({at("127.0.0.1", 1, false, 1001)}, {0}), "");
  EXPECT_EQ(host({at("127.0.0.1", 1, false, 0)}, {0}, {1}), "") << "but another one holds it";
}

}  // namespace
}  // namespace locald::net
