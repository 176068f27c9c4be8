#include <cstdlib>
#include <string>
#include <string_view>

#include "netd/dns.h"

/// A packet from a container, and the same bytes as a reply of the host's resolver.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const netd::NameTables names{
      std::make_shared<const netd::Names>(netd::Names{{"db", {net::IpAddress::v4(0x0A5A0002)}}})};
  for (const std::size_t limit : {std::size_t{0}, std::size_t{512}}) {
    const netd::DnsVerdict verdict = netd::decide(bytes, names, 1, limit);
    if (verdict.kind != netd::DnsVerdict::Kind::reply) continue;
    // A reply is never larger than allowed, has the query's number, and is not answered itself.
    if (verdict.bytes.size() < 12 || verdict.bytes.substr(0, 2) != bytes.substr(0, 2)) std::abort();
    if (limit != 0 && verdict.bytes.size() > 1232) std::abort();
    if (netd::decide(verdict.bytes, names, 1, limit).kind != netd::DnsVerdict::Kind::ignore)
      std::abort();
  }
  if (size >= 12) (void)netd::server_failure(bytes);
  (void)netd::answers(bytes, bytes);
  return 0;
}
