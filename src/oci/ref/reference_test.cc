#include "oci/ref/reference.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

const std::string kHex(64, 'a');

TEST(Reference, IsMadeCompleteAsDockerDoes) {
  struct Case {
    std::string text, name, familiar;
  };
  const std::vector<Case> cases = {
      {"redis", "docker.io/library/redis:latest", "redis:latest"},
      {"redis:7", "docker.io/library/redis:7", "redis:7"},
      {"docker://redis:7", "docker.io/library/redis:7", "redis:7"},
      {"docker.io/redis:7", "docker.io/library/redis:7", "redis:7"},
      {"index.docker.io/redis:7", "docker.io/library/redis:7", "redis:7"},
      {"bitnami/redis", "docker.io/bitnami/redis:latest", "bitnami/redis:latest"},
      {"docker.io/library/a/b:1", "docker.io/library/a/b:1", "library/a/b:1"},
      {"ghcr.io/owner/app:v1.2", "ghcr.io/owner/app:v1.2", "ghcr.io/owner/app:v1.2"},
      {"localhost/app", "localhost/app:latest", "localhost/app:latest"},
      {"localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"},
      {"127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest", "127.0.0.1:5000/a/b/c:latest"},
      {"[::1]:5000/app:1", "[::1]:5000/app:1", "[::1]:5000/app:1"},
      {"Host/app", "Host/app:latest", "Host/app:latest"},
      {"redis@sha256:" + kHex, "docker.io/library/redis@sha256:" + kHex, "redis@sha256:" + kHex},
      {"redis:7@sha256:" + kHex, "docker.io/library/redis:7@sha256:" + kHex,
       "redis:7@sha256:" + kHex},
      {"a__b/c--d/e.f_g", "docker.io/a__b/c--d/e.f_g:latest", "a__b/c--d/e.f_g:latest"},
      {"docker.io/library/oci:1", "docker.io/library/oci:1", "docker.io/library/oci:1"},
      {"docker.io/localhost/x:1", "docker.io/localhost/x:1", "docker.io/localhost/x:1"},
      {"oci:/srv/images:redis:7", "oci:/srv/images:redis:7", "oci:/srv/images:redis:7"},
      {"oci:/srv/images/", "oci:/srv/images", "oci:/srv/images"},
      {"oci-archive:/a b.tar:x", "oci-archive:/a b.tar:x", "oci-archive:/a b.tar:x"},
      {"docker-archive:/a.tar", "docker-archive:/a.tar", "docker-archive:/a.tar"},
  };
  for (const Case& c : cases) {
    auto ref = ImageReference::parse(c.text);
    ASSERT_TRUE(ref) << c.text << ": " << ref.error().message();
    EXPECT_EQ(ref->name(), c.name);
    EXPECT_EQ(ref->familiar(), c.familiar);
    auto again = ImageReference::parse(ref->name());
    ASSERT_TRUE(again) << ref->name();
    EXPECT_EQ(*again, *ref);
    EXPECT_EQ(*ImageReference::parse(ref->familiar()), *ref);
  }
}

TEST(Reference, KeepsItsParts) {
  auto ref = *ImageReference::parse("localhost:5000/a/b:1@sha256:" + kHex);
  EXPECT_EQ(ref.registry, "localhost:5000");
  EXPECT_EQ(ref.repository, "a/b");
  EXPECT_EQ(ref.tag, "1");
  EXPECT_EQ(ref.digest->hex(), kHex);
}

TEST(Reference, RelativePathsStartAtTheBaseFolder) {
  EXPECT_EQ(ImageReference::parse("oci:./out:web", "/home/a")->path, "/home/a/out");
  EXPECT_EQ(ImageReference::parse("oci:../out:web", "/home/a")->path, "/home/a/../out");
  EXPECT_EQ(ImageReference::parse("oci:/out:web", "/home/a")->path, "/out");
}

TEST(Reference, SaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "empty"},
      {":7", "the name is missing"},
      {"redis:", "invalid tag"},
      {"redis:-x", "invalid tag"},
      {"redis:" + std::string(129, 'a'), "invalid tag"},
      {"Redis", "lower case"},
      {"ghcr.io/Owner/app", "lower case"},
      {"ghcr.io/", "repository after the host is missing"},
      {"ghcr.io//app", "empty part"},
      {"a/../b", "invalid repository name"},
      {"a/-b", "invalid repository name"},
      {"a/b___c", "invalid repository name"},
      {"host:99999/app", "invalid host"},
      {"ho_st.x/app", "invalid host"},
      {"-x.io/app", "invalid host"},
      {"[::1/app", "invalid host"},
      {"https://ghcr.io/a/b", "leave out the scheme: \"ghcr.io/a/b\""},
      {"ftp://x/y", "invalid transport"},
      {"docker-daemon:redis:7", "not supported"},
      {"redis 7", "blank"},
      {"redis\n", "control character"},
      {"redis@sha256:abc", "not a digest"},
      {"redis@", "not a digest"},
      {kHex, "id, not a name"},
      {"a/" + std::string(300, 'b'), "over 255"},
      {"oci:", "the path is missing"},
      {"oci:/x:", "is missing"},
      {"oci:/x:a b", "invalid image name"},
  };
  for (const auto& [text, why] : cases) {
    auto ref = ImageReference::parse(text);
    ASSERT_FALSE(ref) << text << " gave " << ref->name();
    EXPECT_EQ(ref.error().code(), Errc::invalid_input) << text;
    EXPECT_NE(ref.error().message().find(why), std::string::npos)
        << text << ": " << ref.error().message();
  }
}

}  // namespace
}  // namespace locald::oci
