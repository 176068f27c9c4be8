#include "net/resolv_file.h"

#include <gtest/gtest.h>

namespace locald::net {
namespace {

std::vector<std::string> texts(std::string_view file) {
  std::vector<std::string> out;
  for (const AddressAndPort& each : resolvers(file)) {
    EXPECT_EQ(each.port, 53);
    out.push_back(each.address.text());
  }
  return out;
}

TEST(ResolvFile, NamesTheResolversInTheirOrder) {
  EXPECT_EQ(texts("# nameserver 10.0.0.1\nsearch example\nnameserver 10.0.0.2\n"
                  " nameserver\tfd00::1 # second\nnameservers 10.0.0.3\n"),
            (std::vector<std::string>{"10.0.0.2", "fd00::1"}));
}

TEST(ResolvFile, WithoutAnyItIsTheHostItself) {
  EXPECT_EQ(texts(""), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(texts("nameserver fe80::1%eth0\nnameserver\n"), std::vector<std::string>{"127.0.0.1"});
}

TEST(ResolvFile, OfAContainerHasItsOwn) {
  EXPECT_EQ(resolv_text({"10.64.0.1", "fd00::1"}), "nameserver 10.64.0.1\nnameserver fd00::1\n");
}

TEST(ResolvFile, HasWhatIsSearchedAndOptions) {
  EXPECT_EQ(resolv_text({"127.0.0.11", "10.0.0.53"}, {"shop.test", "test"}, {"ndots:2"}),
            "nameserver 127.0.0.11\nnameserver 10.0.0.53\nsearch shop.test test\noptions "
            "ndots:2\n");
}

}  // namespace
}  // namespace locald::net
