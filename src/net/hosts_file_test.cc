#include "net/hosts_file.h"

#include <gtest/gtest.h>

namespace locald::net {
namespace {

TEST(Hosts, AddsServicesAndTheHostnameToTheHostsFile) {
  EXPECT_EQ(
      hosts_text(
          "127.0.0.1 localhost\n10.0.0.5\tother.example other # a comment\n\n# only a comment\n",
          "web", {{"db", {"127.0.0.1"}}, {"cache", {"127.0.0.1"}}}),
      "127.0.0.1\tlocalhost\n10.0.0.5\tother.example "
      "other\n127.0.0.1\tcache\n127.0.0.1\tdb\n127.0.0.1\tweb\n");
}

TEST(Hosts, TakesOurNamesOutOfTheHostsLines) {
  EXPECT_EQ(hosts_text("127.0.0.1 localhost\n10.0.0.5 DB db.example\n10.0.0.6 db\n", "",
                       {{"db", {"127.0.0.1"}}}),
            "127.0.0.1\tlocalhost\n10.0.0.5\tdb.example\n127.0.0.1\tdb\n");
}

TEST(Hosts, HasLocalhostWhateverTheHostSays) {
  EXPECT_EQ(hosts_text("", "web", {}),
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tweb\n");
  EXPECT_EQ(hosts_text("127.0.0.1 localhost", "localhost", {}), "127.0.0.1\tlocalhost\n");
}

TEST(Hosts, GivesANameAllItsAddresses) {
  EXPECT_EQ(hosts_text("", "web", {{"web", {"10.64.0.2", "fd00::2"}}}),
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
            "10.64.0.2\tweb\nfd00::2\tweb\n");
}

}  // namespace
}  // namespace locald::net
