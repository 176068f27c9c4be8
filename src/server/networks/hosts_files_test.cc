#include "server/networks/hosts_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::server {
namespace {

net::Layout layout(const std::vector<std::string>& services) {
  net::Layout::Input in{net::Subnet::parse("10.80.0.0/16").value(),
                        net::Subnet::parse("fd12:3456:789a::/48").value(),
                        {},
                        {},
                        {}};
  in.networks = {{.name = "default", .number = 0, .subnet = {}, .allowed = {}}};
  std::uint32_t number = 0;
  for (const std::string& name : services)
    in.services.push_back({name, ++number, {{"default", {}, {}}}, 0});
  return net::Layout::make(in).value();
}

const auto kOwnPlace = [](const std::string& service) { return service; };

TEST(HostsFiles, ChangeWithTheNamesThatTheirContainerReaches) {
  const std::vector<NamedContainer> running = {{"web", "/run/b/1"}};
  EXPECT_TRUE(
      changed_hosts(running, layout({"web", "db"}), layout({"web", "db"}), kOwnPlace).empty());
  const auto changed = changed_hosts(running, layout({"web"}), layout({"web", "db"}), kOwnPlace);
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].path, "/run/b/1/hosts");
  EXPECT_NE(changed[0].text.find("\tdb\n"), std::string::npos) << changed[0].text;
  EXPECT_NE(changed[0].text.find("\tweb\n"), std::string::npos) << changed[0].text;
  // One that is in no network of the project has no names to change.
  EXPECT_TRUE(
      changed_hosts({{"other", "/run/b/2"}}, layout({"web"}), layout({"db"}), kOwnPlace).empty());
}

TEST(HostsFiles, AreTheSameFileWhenTheyHaveAnotherText) {
  char name[] = "/tmp/locald-hosts-XXXXXX";
  const std::string dir = ::mkdtemp(name);
  const HostsFile file{dir + "/hosts", "127.0.0.1\tlocalhost\n"};
  EXPECT_EQ(rewrite(file).error().code(), Errc::not_found);
  ASSERT_TRUE(write_file_atomic(file.path, file.text + "10.0.0.2\tdb\n10.0.0.3\tweb\n"));
  const UniqueFd mounted = sys::open(file.path, O_RDONLY).value();
  ASSERT_TRUE(rewrite(file));
  EXPECT_EQ(read_file("/proc/self/fd/" + std::to_string(mounted.get())).value(), file.text);
  const HostsFile longer{file.path, file.text + std::string(5000, 'x') + "\n"};
  ASSERT_TRUE(rewrite(longer));
  EXPECT_EQ(read_file("/proc/self/fd/" + std::to_string(mounted.get())).value(), longer.text);
  ASSERT_TRUE(remove_tree(file.path));
  ASSERT_TRUE(make_dirs(file.path));
  EXPECT_FALSE(rewrite(file));
  (void)remove_tree(dir);
}

}  // namespace
}  // namespace locald::server
