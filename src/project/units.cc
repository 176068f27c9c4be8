#include "project/units.h"

#include <fmt/format.h>
#include <signal.h>

#include <cstring>

namespace locald::project {

std::string signal_name(int number) {
  const char* name = number > 0 && number < 65 ? ::sigabbrev_np(number) : nullptr;
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

std::string human_duration(std::chrono::milliseconds value) {
  const auto ms = value.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60000)
    return ms % 1000 == 0 ? fmt::format("{} s", ms / 1000)
                          : fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  return ms % 60000 == 0 ? fmt::format("{} min", ms / 60000)
                         : fmt::format("{:.1f} min", static_cast<double>(ms) / 60000);
}

}  // namespace locald::project
