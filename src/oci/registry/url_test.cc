#include "oci/registry/url.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

Url url(const char* text) { return *Url::parse(text); }

TEST(Url, HasItsPartsInOneForm) {
  const Url a = url("HTTPS://Example.COM/v2/?a=b#c");
  EXPECT_EQ(a.host_port(), "example.com:443");
  EXPECT_EQ(a.target, "/v2/?a=b");
  EXPECT_EQ(a.str(), "https://example.com/v2/?a=b");
  EXPECT_EQ(url("http://[::1]:5000").str(), "http://[::1]:5000/");
  EXPECT_EQ(url("http://2130706433/").host, "127.0.0.1");
  EXPECT_EQ(url("http://0x7f.1/").host, "127.0.0.1");
}

TEST(Url, RefusesOtherSchemesAndUsers) {
  for (const char* text :
       {"ftp://x/", "file:///etc/passwd", "gopher://x/", "https://u:p@x/", "x", "https://",
        "http://x:0/", "https://x/ y", "https://x/\n", "https://2130706433./", "https://7../",
        "https://%32130706433/", "https://9%c9/", "https://1.2.3.4.5/", "https://a.0x1/",
        "https://x./", "https://\xc3\xa9/"})
    EXPECT_FALSE(Url::parse(text)) << text;
}

TEST(Url, ResolvesRelativeLocations) {
  EXPECT_EQ(url("https://x/a/b").resolve("/c")->str(), "https://x/c");
  EXPECT_EQ(url("https://x/a/b?q").resolve("c?d=e")->str(), "https://x/a/c?d=e");
  EXPECT_EQ(url("https://x/a").resolve("//y/z")->str(), "https://y/z");
  EXPECT_EQ(url("https://x/a").resolve("http://y:81/z")->str(), "http://y:81/z");
}

TEST(HostClass, KnowsWhatIsInside) {
  for (const char* host :
       {"localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "a.localhost"})
    EXPECT_EQ(classify_host(host), HostClass::loopback) << host;
  for (const char* host :
       {"169.254.169.254", "0.0.0.0", "[fe80::1]", "[::]", "[64:ff9b::a9fe:a9fe]"})
    EXPECT_EQ(classify_host(host), HostClass::link_local) << host;
  for (const char* host :
       {"10.1.2.3", "172.16.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "[fd00::1]"})
    EXPECT_EQ(classify_host(host), HostClass::private_net) << host;
  for (const char* host :
       {"example.com", "8.8.8.8", "172.32.0.1", "[2001:db8::1]", "localhost.example.com"})
    EXPECT_EQ(classify_host(host), HostClass::name) << host;
}

TEST(Redirect, MayGoToAnotherHostByTlsOnly) {
  const Url hub = url("https://registry-1.docker.io/v2/");
  EXPECT_EQ(check_redirect(hub, hub, "https://cdn.example.com/x")->host, "cdn.example.com");
  EXPECT_EQ(check_redirect(hub, hub, "http://cdn.example.com/x").error().code(), Errc::denied);
  EXPECT_FALSE(check_redirect(hub, hub, "http://registry-1.docker.io/x"));
  EXPECT_FALSE(check_redirect(hub, hub, "file:///etc/passwd"));
}

TEST(Redirect, NeverLeadsAStrangerInside) {
  const Url hub = url("https://registry-1.docker.io/v2/");
  for (const char* to : {"https://127.0.0.1/x", "https://localhost/x", "https://169.254.169.254/x",
                         "https://10.0.0.1/", "https://[::1]/", "https://2130706433/"})
    EXPECT_EQ(check_redirect(hub, hub, to).error().code(), Errc::denied) << to;
  const Url local = url("http://127.0.0.1:5000/v2/");
  EXPECT_TRUE(check_redirect(local, local, "http://127.0.0.1:9000/bucket"));
  EXPECT_TRUE(check_redirect(local, local, "https://cdn.example.com/"));
  EXPECT_FALSE(check_redirect(local, local, "http://169.254.169.254/"));
  EXPECT_FALSE(check_redirect(local, local, "http://cdn.example.com/"));
}

TEST(Realm, IsHttpsOrTheLoopbackRegistryItself) {
  const Url hub = url("https://registry-1.docker.io/v2/");
  EXPECT_TRUE(check_realm(hub, "https://auth.docker.io/token"));
  for (const char* realm :
       {"http://auth.docker.io/token", "https://169.254.169.254/", "https://127.0.0.1/",
        "http://127.0.0.1/", "https://192.168.0.1/", "token", ""})
    EXPECT_FALSE(check_realm(hub, realm)) << realm;
  const Url local = url("http://127.0.0.1:5000/v2/");
  EXPECT_TRUE(check_realm(local, "http://127.0.0.1:5000/token"));
  EXPECT_FALSE(check_realm(local, "http://127.0.0.1:5001/token"));
  EXPECT_FALSE(check_realm(local, "http://auth.example.com/token"));
  EXPECT_TRUE(check_realm(local, "https://auth.example.com/token"));
}

TEST(Realm, SeesALoginOnlyUnderTheSameOwner) {
  EXPECT_TRUE(realm_may_see_login(url("https://registry-1.docker.io/"),
                                  url("https://auth.docker.io/token")));
  EXPECT_TRUE(realm_may_see_login(url("https://ghcr.io/"), url("https://ghcr.io/token")));
  EXPECT_TRUE(
      realm_may_see_login(url("https://registry.gitlab.com/"), url("https://gitlab.com/jwt/auth")));
  EXPECT_FALSE(
      realm_may_see_login(url("https://registry.example.com/"), url("https://auth.attacker.com/")));
  EXPECT_FALSE(realm_may_see_login(url("https://a.co.uk/"), url("https://b.co.uk/")));
  EXPECT_FALSE(realm_may_see_login(url("https://8.8.8.8/"), url("https://9.8.8.8/")));
  EXPECT_FALSE(realm_may_see_login(url("https://r.example.com/"), url("http://r.example.com/")));
}

}  // namespace
}  // namespace locald::oci
