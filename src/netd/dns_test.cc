#include "netd/dns.h"

#include <gtest/gtest.h>

#include "netd/dns_testing.h"

namespace locald::netd {
namespace {

using Kind = DnsVerdict::Kind;
using testing::code;
using testing::count;
using testing::query;

net::IpAddress address(const char* text) { return net::IpAddress::parse(text).value(); }

const NameTables kNames{
    std::make_shared<const Names>(Names{{"db", {address("10.90.0.2"), address("fd90::2")}},
                                        {"web", {address("10.90.0.3"), address("10.90.0.4")}},
                                        {"host.locald.internal", {address("10.90.255.1")}}})};

TEST(Dns, ANameOfTheNetworkHasItsAddresses) {
  const auto a = decide(query("db"), kNames, 0);
  ASSERT_EQ(a.kind, Kind::reply);
  EXPECT_EQ(a.bytes.substr(0, 2), "\x12\x34");
  EXPECT_EQ(static_cast<std::uint8_t>(a.bytes[2]), 0x81) << "a reply, recursion was desired";
  EXPECT_EQ(code(a.bytes), 0);
  EXPECT_EQ(count(a.bytes), 1);
  EXPECT_EQ(a.bytes.substr(a.bytes.size() - 4), "\x0a\x5a" + std::string("\0\2", 2));
  EXPECT_EQ(a.bytes.size(), query("db").size() + 16);
  const auto aaaa = decide(query("DB", 28), kNames, 0);
  EXPECT_EQ(count(aaaa.bytes), 1);
  EXPECT_EQ(aaaa.bytes.size(), query("DB").size() + 28);
  EXPECT_NE(aaaa.bytes.find("\2DB"), std::string::npos) << "the question as it was asked";
  EXPECT_EQ(count(decide(query("host.locald.internal"), kNames, 0).bytes), 1);
}

TEST(Dns, AMissingTypeIsNoErrorWithoutAnAnswer) {
  for (const int type : {28, 15, 16, 255}) {
    const auto none = decide(query("web", type), kNames, 0);
    ASSERT_EQ(none.kind, Kind::reply);
    EXPECT_EQ(code(none.bytes), 0) << type;
    EXPECT_EQ(count(none.bytes), 0) << type;
  }
}

TEST(Dns, SeveralAddressesTakeTurns) {
  const auto first = decide(query("web"), kNames, 0).bytes,
             second = decide(query("web"), kNames, 1).bytes;
  EXPECT_EQ(count(first), 2);
  EXPECT_NE(first, second);
  EXPECT_EQ(first, decide(query("web"), kNames, 2).bytes);
}

TEST(Dns, TheFirstNetworkThatHasANameAnswersIt) {
  const NameTables both{std::make_shared<const Names>(Names{{"db", {address("10.90.0.2")}}}),
                        std::make_shared<const Names>(Names{{"db", {address("10.90.1.2")}},
                                                            {"back", {address("10.90.1.3")}}})};
  const auto last = [&](const char* name) {
    const std::string bytes = decide(query(name), both, 0).bytes;
    EXPECT_EQ(count(bytes), 1) << name;
    return bytes.substr(bytes.size() - 3);
  };
  EXPECT_EQ(last("db"), std::string("\x5a\0\2", 3));
  EXPECT_EQ(last("back"), "\x5a\1\3");
  EXPECT_EQ(code(decide(query("other"), both, 0).bytes), 3);
  EXPECT_EQ(code(decide(query("db"), {}, 0).bytes), 3);
}

TEST(Dns, WhatIsNotOursGoesOnOnlyWithADot) {
  EXPECT_EQ(decide(query("example.com"), kNames, 0).kind, Kind::forward);
  EXPECT_EQ(decide(query("db.example.com"), kNames, 0).kind, Kind::forward);
  const auto nobody = decide(query("wrong"), kNames, 0);
  ASSERT_EQ(nobody.kind, Kind::reply);
  EXPECT_EQ(code(nobody.bytes), 3);
}

TEST(Dns, SizesAreKept) {
  Names table;
  for (int i = 0; i < 200; ++i)
    table["many"].push_back(net::IpAddress::v4(0x0A000000U + static_cast<unsigned>(i)));
  const NameTables names{std::make_shared<const Names>(table)};
  const auto plain = decide(query("many"), names, 0).bytes;
  EXPECT_LE(plain.size(), 512U);
  EXPECT_TRUE(plain[2] & 0x02) << "truncated";
  EXPECT_EQ((plain.size() - query("many").size()) / 16, static_cast<std::size_t>(count(plain)));
  const auto wide = decide(query("many", 1, true), names, 0).bytes;
  EXPECT_GT(wide.size(), 512U);
  EXPECT_LE(wide.size(), 1232U);
  EXPECT_EQ(wide[11], 1) << "has an OPT of its own";
  const auto tcp = decide(query("many"), names, 0, 0).bytes;
  EXPECT_FALSE(tcp[2] & 0x02);
  EXPECT_EQ(count(tcp), 200);
}

TEST(Dns, WhatIsBrokenIsSaidOrIgnored) {
  EXPECT_EQ(decide("", kNames, 0).kind, Kind::ignore);
  EXPECT_EQ(decide(query("db").substr(0, 11), kNames, 0).kind, Kind::ignore);
  std::string reply = query("db");
  reply[2] = '\x81';
  EXPECT_EQ(decide(reply, kNames, 0).kind, Kind::ignore) << "two that answer each other never end";
  std::string update = query("db");
  update[2] = '\x28';
  EXPECT_EQ(code(decide(update, kNames, 0).bytes), 4);
  for (const std::string& broken :
       {query("db").substr(0, 14), query("db").substr(0, 18),
        query(std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." +
              std::string(63, 'd') + "." + std::string(63, 'e')),
        query("db").replace(12, 1, "\xc0"), query("a").replace(13, 1, ".")})
    EXPECT_EQ(code(decide(broken, kNames, 0).bytes), 1);
  EXPECT_EQ(decide(query(std::string(63, 'a') + ".x"), kNames, 0).kind, Kind::forward);
}

TEST(Dns, AReplyFromElsewhereMustAnswerTheQuestion) {
  std::string reply = query("example.com");
  reply[2] = '\x81';
  EXPECT_TRUE(answers(reply, query("example.com")));
  EXPECT_FALSE(answers(reply, query("example.org")));
  EXPECT_FALSE(answers(reply, query("example.com", 28)));
  EXPECT_FALSE(answers(query("example.com"), query("example.com")));
  std::string other = reply;
  other[0] = 'x';
  EXPECT_FALSE(answers(other, query("example.com")));
  for (const char refused : {'\x82', '\x85'}) {
    std::string no = reply;
    no[3] = refused;
    EXPECT_FALSE(answers(no, query("example.com")));
  }
  EXPECT_EQ(code(server_failure(query("example.com"))), 2);
}

}  // namespace
}  // namespace locald::netd
