#include "base/sys/signals.h"

#include <csignal>
#include <cstring>
#include <string>
#include <tuple>

#include "base/strings.h"

namespace locald {

Result<int> parse_signal(std::string_view text) {
  const auto bad = [&] {
    return Error(Errc::invalid_input,
                 "invalid signal \"" + std::string(text) + "\" (\"SIGTERM\" is one)");
  };
  if (const auto number = parse_u64(text)) {
    if (*number < 1 || *number > 64) return bad();
    return static_cast<int>(*number);
  }
  std::string name(text);
  for (char& c : name)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (name.starts_with("SIG")) name.erase(0, 3);
  // The numbers of the C library: its SIGRTMIN is 34, as in containers.
  for (const auto& [prefix, base, sign] : {std::tuple{"RTMIN", 34, 1}, {"RTMAX", 64, -1}})
    if (name.starts_with(prefix)) {
      const std::string rest = name.substr(5);
      if (rest.empty()) return base;
      const auto offset = parse_u64(rest.substr(1));
      if (rest[0] != (sign > 0 ? '+' : '-') || !offset || *offset > 30) return bad();
      return base + sign * static_cast<int>(*offset);
    }
  for (int number = 1; number < 32; ++number)
    if (const char* known = ::sigabbrev_np(number); known != nullptr && name == known)
      return number;
  if (name == "CLD") return SIGCHLD;
  if (name == "IOT") return SIGABRT;
  return bad();
}

}  // namespace locald
