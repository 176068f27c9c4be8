#include "net/cni/chain.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "net/cni/settle.h"
#include "net/sandbox/sandbox_testing.h"

namespace locald::net {
namespace {

using testing::with_rights;

/// Plugins that are shell scripts, in a folder of their own, and a sandbox for them.
struct Plugins {
  std::string folder;
  UniqueFd sandbox, netns;
  CniWorld world;

  Plugins() {
    char name[] = "/tmp/locald-cni-XXXXXX";
    folder = ::mkdtemp(name);
    sandbox = make_namespace().value();
    netns = make_namespace().value();
    world = {.path = {folder},
             .search_path = "/usr/sbin:/usr/bin:/sbin:/bin",
             .folder = folder,
             .sandbox = sandbox.get(),
             .limit = std::chrono::seconds(10)};
  }
  ~Plugins() { (void)remove_tree(folder); }
  Plugins(const Plugins&) = delete;
  Plugins& operator=(const Plugins&) = delete;

  /// Each call is a line in the file "calls": command, plugin, and what it was given.
  void plugin(const std::string& name, const std::string& body) const {
    ASSERT_TRUE(write_file_atomic(folder + "/" + name,
                                  "#!/bin/sh\nread config\necho \"$CNI_COMMAND " + name +
                                      " $config\" >> " + folder + "/calls\n" + body + "\n",
                                  0755));
  }
  CniPlace place(const std::string& plugins, const std::string& version = "1.0.0") const {
    return {.list = Conflist::parse(R"({"cniVersion":")" + version +
                                    R"(","name":"back","plugins":)" + plugins + "}")
                        .value(),
            .container = "shop.web.1",
            .link = "eth1",
            .netns = netns.get(),
            .capabilities =
                Json::object({{"mac", "02:42:00:00:00:01"},
                              {"portMappings", Json::array({Json::object({{"hostPort", 80}})})}})};
  }
  std::vector<std::string> calls() const {
    auto lines = split(read_file(folder + "/calls").value_or(""), '\n');
    lines.pop_back();
    return lines;
  }
};

constexpr const char* kResult =
    R"(echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/24"}]}')";

TEST(CniChain, EachPluginGetsTheResultBeforeAndWhatItTakes) {
  with_rights([] {
    const Plugins p;
    p.plugin("one", kResult);
    p.plugin("two", R"(test -e $CNI_NETNS || exit 1
echo "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.1.0.3/24\"}],\"id\":\"$CNI_CONTAINERID $CNI_IFNAME $CNI_PATH\"}")");
    const CniPlace place = p.place(
        R"([{"type":"one","capabilities":{"mac":true,"portMappings":false}},{"type":"two"}])");
    const auto result = cni_add(p.world, place);
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_EQ((*result)["id"].as_string(), "shop.web.1 eth1 " + p.folder);
    EXPECT_TRUE(cni_check(p.world, place, *result));
    EXPECT_TRUE(cni_delete(p.world, place, *result));
    const auto calls = p.calls();
    ASSERT_EQ(calls.size(), 6u);
    EXPECT_EQ(calls[0],
              R"(ADD one {"type":"one","capabilities":{"mac":true,"portMappings":false},)"
              R"("cniVersion":"1.0.0","name":"back","runtimeConfig":{"mac":"02:42:00:00:00:01"}})");
    EXPECT_EQ(calls[1],
              R"(ADD two {"type":"two","cniVersion":"1.0.0","name":"back",)"
              R"("prevResult":{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/24"}]}})");
    EXPECT_NE(calls[2].find("CHECK one"), std::string::npos);
    EXPECT_NE(calls[2].find("10.1.0.3/24"), std::string::npos) << "the last result";
    EXPECT_NE(calls[4].find("DEL two"), std::string::npos) << "the last one first";
    EXPECT_NE(calls[5].find("DEL one"), std::string::npos);
    EXPECT_NE(calls[5].find("10.1.0.3/24"), std::string::npos);
  });
}

TEST(CniChain, AnOlderVersionIsNotAskedToCheckNorToldOfTheResult) {
  with_rights([] {
    const Plugins p;
    p.plugin("one", kResult);
    const CniPlace place = p.place(R"([{"type":"one"}])", "0.3.1");
    EXPECT_TRUE(cni_check(p.world, place, Json::object({{"ips", Json::array()}})));
    EXPECT_TRUE(cni_delete(p.world, place, Json::object({{"ips", Json::array()}})));
    ASSERT_EQ(p.calls().size(), 1u);
    EXPECT_EQ(p.calls()[0].find("prevResult"), std::string::npos);
  });
}

TEST(CniChain, OneThatFailsIsQuotedAndAllAreToldToDelete) {
  with_rights([] {
    const Plugins p;
    p.plugin("one", kResult);
    p.plugin("two", R"(test $CNI_COMMAND = DEL && exit 0
echo '{"cniVersion":"1.0.0","code":11,"msg":"no lease","details":"the server is away"}'; exit 1)");
    const auto result = cni_add(p.world, p.place(R"([{"type":"one"},{"type":"two"}])"));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message(), "CNI plugin two, ADD: no lease: the server is away");
    const auto calls = p.calls();
    ASSERT_EQ(calls.size(), 4u);
    EXPECT_EQ(calls[2].substr(0, 7), "DEL two");
    EXPECT_EQ(calls[3].substr(0, 7), "DEL one");

    p.plugin("three", "echo nonsense; exit 3");
    EXPECT_EQ(cni_add(p.world, p.place(R"([{"type":"three"}])")).error().message(),
              "CNI plugin three, ADD: nonsense");
    p.plugin("four", "exit 0");
    EXPECT_EQ(cni_add(p.world, p.place(R"([{"type":"four"}])")).error().message(),
              "CNI plugin four, ADD: it has said nothing");
    EXPECT_EQ(cni_add(p.world, p.place(R"([{"type":"five"}])")).error().message(),
              "CNI plugin five, ADD: it is not in " + p.folder);
  });
}

TEST(CniChain, OneThatHangsIsEndedWithAllThatItHasStarted) {
  with_rights([] {
    Plugins p;
    p.world.limit = std::chrono::milliseconds(500);
    p.plugin("slow", R"(test $CNI_COMMAND = DEL && exit 0
setsid sh -c 'exec sleep 611' &
sleep 612)");
    const auto result = cni_add(p.world, p.place(R"([{"type":"slow"}])"));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), Errc::timed_out);
    EXPECT_EQ(result.error().message(),
              "CNI plugin slow, ADD: no answer within 500 ms; it was ended");
    // The kernel ends them with the first one of their namespace, before that counts as ended.
    for (const std::string& pid : names_in("/proc"))
      if (const auto command = read_file("/proc/" + pid + "/cmdline"); parse_u64(pid) && command) {
        EXPECT_NE(*command, std::string("sleep\000611\000", 10)) << pid;
      }
  });
}

TEST(CniChain, APluginRunsInTheSandboxAndSeesItsLinks) {
  with_rights([] {
    const Plugins p;
    p.plugin("look", R"(net=$(readlink /proc/self/ns/net)
echo "{\"net\":\"$net\",\"links\":\"$(ls /sys/class/net | tr '\n' ' ')\"}")");
    const auto result = cni_add(p.world, p.place(R"([{"type":"look"}])"));
    ASSERT_TRUE(result) << result.error().text();
    struct stat st {};
    ASSERT_EQ(::fstat(p.sandbox.get(), &st), 0);
    EXPECT_EQ((*result)["net"].as_string(), "net:[" + std::to_string(st.st_ino) + "]");
    EXPECT_EQ((*result)["links"].as_string().substr(0, 3), "lo ");
  });
}

TEST(CniChain, AHostLocalIpamKeepsItsLeasesInThePluginsFolder) {
  with_rights([] {
    const Plugins p;
    p.plugin("one", kResult);
    const CniPlace place = p.place(R"([{"type":"one","ipam":{"type":"host-local"}}])");
    ASSERT_TRUE(cni_add(p.world, place));
    EXPECT_NE(p.calls()[0].find(R"("dataDir":")" + p.folder + R"(/addresses")"), std::string::npos)
        << p.calls()[0];
  });
}

/// Debian's plugins, where they are.
bool has_plugins() { return !find_plugin("bridge", split(kCniPath, ':')).empty(); }

std::string links_of(const UniqueFd& netns) {
  std::string out;
  (void)in_namespace(netns.get(), [&]() -> Result<void> {
    for (const char* file : {"/proc/thread-self/net/route", "/proc/thread-self/net/fib_trie"})
      out += read_file(file).value_or("") + "\n";
    return {};
  });
  return out;
}

TEST(CniChain, BridgeAndStaticMakeWhatTheBuiltInCodeMakes) {
  if (!has_plugins()) GTEST_SKIP() << "needs the package containernetworking-plugins";
  with_rights([] {
    const Subnet gateway = testing::subnet("10.90.0.1/24"),
                 address = testing::subnet("10.90.0.2/24");
    const UniqueFd builtin = make_sandbox({{"br0", {gateway}}}).value();
    const UniqueFd one =
        make_attached(builtin.get(), {{"br0", "v2", "eth1", {address}, {gateway.address}}}).value();

    Plugins p;
    p.world.path = split(kCniPath, ':');
    CniPlace place =
        p.place(R"([{"type":"bridge","bridge":"cni0","mtu":65520,"ipam":{"type":"static",
        "routes":[{"dst":"0.0.0.0/0","gw":"10.90.0.1"}]},"capabilities":{"ips":true,"mac":true}}])");
    place.capabilities =
        Json::object({{"ips", Json::array({address.text()})}, {"mac", "02:42:0a:5a:00:02"}});
    const auto result = cni_add(p.world, place);
    ASSERT_TRUE(result) << result.error().text();
    ASSERT_TRUE(in_namespace(p.sandbox.get(), [&]() -> Result<void> {
      const FoundPlace found = TRY(settle(TRY(CniResult::parse(*result)), 7));
      EXPECT_EQ(found.addresses.at(0).text(), "10.90.0.2/24");
      EXPECT_EQ(found.gateways.at(0).text(), "10.90.0.1/24");
      return {};
    }));
    EXPECT_EQ(links_of(p.netns), links_of(one));
    const UniqueFd server = testing::listen_in(p.netns, address.address, 5432);
    EXPECT_EQ(testing::connect_in(p.sandbox, address.address, 5432), 0) << "reached from netd";
    const auto checked = cni_check(p.world, place, *result);
    EXPECT_TRUE(checked) << checked.error().text();
    EXPECT_TRUE(cni_delete(p.world, place, *result));
    EXPECT_NE(testing::connect_in(p.sandbox, address.address, 5432, 1), 0);
  });
}

}  // namespace
}  // namespace locald::net
