#include <cstdlib>
#include <string_view>

#include "net/netd_plan.h"

/// What is read is written and read again as the same.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto plan = net::NetdPlan::parse(bytes)) {
    const auto again = net::NetdPlan::parse(plan->to_text());
    if (!again || again->to_text() != plan->to_text()) std::abort();
  }
  if (const auto plan = net::OutsidePlan::parse(bytes)) {
    const auto again = net::OutsidePlan::parse(plan->to_text());
    if (!again || again->to_text() != plan->to_text()) std::abort();
  }
  return 0;
}
