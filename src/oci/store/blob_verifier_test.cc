#include "oci/store/blob_verifier.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

// printf hello | sha256sum
constexpr std::string_view kHelloText =
    "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

Result<void> feed(std::uint64_t promised_bytes, std::string_view body, std::size_t step) {
  BlobVerifier verifier({"", TRY(Digest::parse(kHelloText)), promised_bytes});
  for (std::size_t i = 0; i < body.size(); i += step)
    TRY(verifier.update(std::as_bytes(std::span(body.substr(i, step)))));
  return std::move(verifier).finish();
}

TEST(BlobVerifier, AcceptsTheBlobHoweverItIsCut) {
  for (const std::size_t step : {1u, 2u, 5u, 99u}) EXPECT_TRUE(feed(5, "hello", step)) << step;
}

TEST(BlobVerifier, RefusesOtherBytesOfTheSameLength) {
  auto result = feed(5, "hellO", 2);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Errc::corrupt);
  EXPECT_NE(result.error().message().find("want sha256:2cf2"), std::string::npos);
}

TEST(BlobVerifier, RefusesShortAndLongBodies) {
  EXPECT_EQ(feed(5, "hell", 4).error().message(), std::string(kHelloText) + ": got 4 of 5 bytes");
  EXPECT_EQ(feed(4, "hello", 1).error().code(), Errc::corrupt);  // at the fifth byte
  EXPECT_EQ(feed(0, "hello", 5).error().code(), Errc::corrupt);
}

}  // namespace
}  // namespace locald::oci
