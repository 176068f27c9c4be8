#include "oci/ref/digest.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

// printf hello | sha256sum
constexpr std::string_view kHello =
    "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

TEST(Digest, PrintsWhatItParsed) {
  auto digest = Digest::parse(kHello);
  ASSERT_TRUE(digest);
  EXPECT_EQ(digest->str(), kHello);
  EXPECT_EQ(digest->short_hex(), "2cf24dba5fb0");
}

TEST(Digest, IsTheShaOfTheBytesHoweverTheyAreCut) {
  EXPECT_EQ(Digest::of("hello").str(), kHello);
  Sha256 hash;
  for (const char c : std::string_view("hello")) hash.update(std::as_bytes(std::span(&c, 1)));
  EXPECT_EQ(std::move(hash).finish().str(), kHello);
  EXPECT_EQ(Digest::of("").hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, RefusesWhateverIsNoSafeFileName) {
  const std::string hex(64, 'a');
  for (const std::string& bad : std::vector<std::string>{
           std::string(), std::string("sha256"), std::string("sha256:"), ":" + hex,
           "sha256:../../etc/passwd", "sha256:" + hex + "a", "sha256:" + hex.substr(1),
           "sha256:" + std::string(64, 'A'), "SHA256:" + hex, " sha256:" + hex,
           "sha256:" + hex + "\n", "sha256:" + std::string(64, '/'), "md5:" + hex,
           std::string("sha256:") + std::string(64, '\0')})
    EXPECT_EQ(Digest::parse(bad).error().code(), Errc::invalid_input) << bad;
}

TEST(Digest, NamesAnAlgorithmThatIsKnownButNotTaken) {
  EXPECT_EQ(Digest::parse("sha512:" + std::string(128, 'a')).error().code(), Errc::unsupported);
}

}  // namespace
}  // namespace locald::oci
