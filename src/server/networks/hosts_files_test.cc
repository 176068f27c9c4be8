#include "server/networks/hosts_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::server {
namespace {

NetworkPlan plan(const std::vector<std::string>& services) {
  net::Layout::Input in{net::Subnet::parse("10.80.0.0/16").value(),
                        net::Subnet::parse("fd12:3456:789a::/48").value(),
                        {},
                        {},
                        {}};
  in.networks = {{.name = "default", .number = 0, .subnet = {}, .allowed = {}}};
  std::uint32_t number = 0;
  for (const std::string& name : services)
    in.services.push_back({name, ++number, {{"default", {}, {}}}, 0});
  return {net::Layout::make(in).value(), {}, {}};
}

TEST(HostsFiles, ChangeWithTheNamesThatTheirContainerReaches) {
  const NetworkPlan before = plan({"web"}), now = plan({"web", "db"});
  const std::vector<NamedContainer> running = {{"web", "/run/b/1"}};
  EXPECT_TRUE(renamed(running, now, now).empty());
  ASSERT_EQ(renamed(running, before, now).size(), 1u);
  EXPECT_EQ(renamed(running, before, now)[0].bundle, "/run/b/1");
  EXPECT_EQ(hosts_of("web", now),
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
            "10.80.0.3\tdb\n10.80.0.2\tweb\n");
  // One that is in no network of the project has no names to change.
  EXPECT_TRUE(renamed({{"other", "/run/b/2"}}, before, now).empty());
  // One in another service's network has its names.
  NetworkPlan shared = now;
  shared.shared["side"] = "web";
  EXPECT_EQ(renamed({{"side", "/run/b/3"}}, before, shared).size(), 1u);
  EXPECT_NE(hosts_of("side", shared).find("10.80.0.3\tdb\n"), std::string::npos);
}

TEST(HostsFiles, AreTheSameFileWhenTheyHaveAnotherText) {
  char name[] = "/tmp/locald-hosts-XXXXXX";
  const std::string dir = ::mkdtemp(name);
  const std::string path = dir + "/hosts", text = "127.0.0.1\tlocalhost\n";
  EXPECT_EQ(rewrite(path, text).error().code(), Errc::not_found);
  ASSERT_TRUE(write_file_atomic(path, text + "10.0.0.2\tdb\n10.0.0.3\tweb\n"));
  const UniqueFd mounted = sys::open(path, O_RDONLY).value();
  ASSERT_TRUE(rewrite(path, text));
  EXPECT_EQ(read_file("/proc/self/fd/" + std::to_string(mounted.get())).value(), text);
  const std::string longer = text + std::string(5000, 'x') + "\n";
  ASSERT_TRUE(rewrite(path, longer));
  EXPECT_EQ(read_file("/proc/self/fd/" + std::to_string(mounted.get())).value(), longer);
  ASSERT_TRUE(remove_tree(path));
  ASSERT_TRUE(make_dirs(path));
  EXPECT_FALSE(rewrite(path, text));
  (void)remove_tree(dir);
}

}  // namespace
}  // namespace locald::server
