#include "net/cni/conflist.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/sys/fs_at.h"
#include "net/cni/cni_result.h"

namespace locald::net {
namespace {

/// "message (hint)" of what is wrong with the list.
std::string wrong(const std::string& text) {
  const auto list = Conflist::parse(text);
  if (list) return "";
  const Error& error = list.error();
  return error.message() + (error.hint().empty() ? "" : " (" + error.hint() + ")");
}

std::string with(const std::string& version, const std::string& plugins,
                 const std::string& name = "back") {
  return R"({"cniVersion":")" + version + R"(","name":")" + name + R"(","plugins":)" + plugins +
         "}";
}

const std::string kBridge =
    R"([{"type":"bridge","ipam":{"type":"static"},"capabilities":{"ips":true,"mac":false}}])";

TEST(Conflist, KnowsItsVersionsAndCapabilities) {
  for (const char* version : {"0.3.1", "0.4.0", "1.0.0"})
    EXPECT_EQ(wrong(with(version, kBridge)), "") << version;
  const Conflist list = Conflist::parse(with("1.0.0", kBridge)).value();
  EXPECT_EQ(list.name, "back");
  EXPECT_TRUE(list.takes("ips"));
  EXPECT_FALSE(list.takes("mac"));
  EXPECT_FALSE(list.takes("portMappings"));
  EXPECT_EQ(wrong(with("1.1.0", kBridge)),
            "cniVersion 1.1.0 is newer than what locald speaks, 1.0.0 (write \"cniVersion\": "
            "\"1.0.0\")");
  EXPECT_EQ(wrong(with("0.2.0", kBridge)),
            "cniVersion 0.2.0 is older than what locald speaks, 0.3.1 (write \"cniVersion\": "
            "\"0.3.1\" or a newer one)");
  EXPECT_EQ(wrong(with("one", kBridge)), "invalid cniVersion \"one\" (use a version like 1.0.0)");
}

TEST(Conflist, SaysWhatIsWrongWithIt) {
  EXPECT_NE(wrong("{"), "");
  EXPECT_EQ(wrong("[]"), "not an object");
  EXPECT_EQ(wrong(R"({"name":"back","plugins":[]})"), "\"cniVersion\" is missing");
  EXPECT_EQ(wrong(with("1.0.0", "[]")),
            "plugins: there is none (write \"plugins\": [ { \"type\": \"bridge\", … } ])");
  EXPECT_EQ(wrong(R"({"cniVersion":"1.0.0","name":"back","type":"bridge"})"),
            "that is the configuration of one plugin, not a list (put it into a list: \"plugins\": "
            "[ { \"type\": \"bridge\", … } ])");
  EXPECT_EQ(wrong(with("1.0.0", kBridge, "../back")),
            "invalid name \"../back\" (use letters, digits, _, . and -)");
  EXPECT_EQ(wrong(with("1.0.0", "[7]")), "plugins[0]: not an object");
  EXPECT_EQ(wrong(with("1.0.0", R"([{"type":"../../bin/sh"}])")),
            "plugins[0]: invalid type \"../../bin/sh\"");
  EXPECT_EQ(wrong(with("1.0.0", R"([{"type":"bridge","ipam":{"type":"a/b"}}])")),
            "plugins[0]: ipam: invalid type \"a/b\"");
  EXPECT_NE(wrong(with("1.0.0", "[" + std::string(kMaxConflist, ' ') + "]")), "");
}

TEST(Conflist, FindsThePluginsAndThoseForAddresses) {
  char folder[] = "/tmp/locald-cni-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string dir = folder;
  const Conflist list = Conflist::parse(with("1.0.0", kBridge)).value();
  EXPECT_EQ(list.find_plugins({dir, "/nowhere"}).error().message(),
            "the CNI plugin bridge is not in " + dir + " or /nowhere");
  ASSERT_TRUE(write_file_atomic(dir + "/bridge", "#!/bin/sh\n", 0755));
  EXPECT_EQ(list.find_plugins({"/nowhere", dir}).error().message(),
            "the CNI plugin static is not in /nowhere or " + dir);
  ASSERT_TRUE(write_file_atomic(dir + "/static", "#!/bin/sh\n", 0755));
  EXPECT_TRUE(list.find_plugins({"/nowhere", dir}));
  (void)remove_tree(dir);
}

TEST(CniResult, HasTheServicesAddressesAndTheLinksOutside) {
  const auto result = CniResult::parse(*Json::parse(R"({
      "cniVersion": "1.0.0",
      "interfaces": [{"name": "cni0", "mac": "02:00:00:00:00:01"}, {"name": "veth7"},
                     {"name": "eth0", "sandbox": "/proc/self/fd/3"}],
      "ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 2},
              {"address": "10.1.0.1/24", "interface": 0}, {"address": "fd00::2/64"}],
      "dns": {"nameservers": ["10.1.0.53"], "domain": "shop.test", "search": ["test"]}})"));
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_EQ(result->addresses.size(), 2u);
  EXPECT_EQ(result->addresses[0].address.text(), "10.1.0.2/24");
  EXPECT_EQ(result->addresses[0].gateway->text(), "10.1.0.1");
  EXPECT_EQ(result->addresses[1].address.text(), "fd00::2/64");
  EXPECT_EQ(result->outside, (std::vector<std::string>{"cni0", "veth7"}));
  EXPECT_EQ(result->dns.nameservers, std::vector<std::string>{"10.1.0.53"});
  EXPECT_EQ(result->dns.search, (std::vector<std::string>{"shop.test", "test"}));
}

TEST(CniResult, IsNotBelievedBlindly) {
  const auto wrong = [](const std::string& text) {
    return CniResult::parse(*Json::parse(text)).error().message();
  };
  EXPECT_EQ(wrong(R"({"ips":[]})"), "the result has no address for the service");
  EXPECT_EQ(wrong(R"({"ips":[{"address":"10.1.0.2"}]})").substr(0, 4), "ips:");
  EXPECT_EQ(wrong(R"({"ips":[{"address":"10.1.0.2/24","interface":7}]})"),
            "ips: interface: there is none of this number");
  EXPECT_EQ(wrong(R"({"ips":[{"address":"10.1.0.2/24"}],"dns":{"search":["a\noptions b"]}})"),
            "dns: search: invalid \"a\noptions b\"");
  EXPECT_NE(wrong(R"({"ips":[{"address":"10.1.0.2/24"}],"dns":{"nameservers":["host"]}})"), "");
}

}  // namespace
}  // namespace locald::net
