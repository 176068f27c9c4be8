#pragma once
#include <sys/resource.h>

#include <array>
#include <string_view>

namespace locald {

/// A limit of processes (setrlimit(2)) by its name as users, images and the runtime spec have it,
/// without "RLIMIT_".
struct RlimitName {
  std::string_view name;
  decltype(RLIMIT_AS) number;
};
inline constexpr std::array<RlimitName, 15> kRlimits{{{"AS", RLIMIT_AS},
                                                      {"CORE", RLIMIT_CORE},
                                                      {"CPU", RLIMIT_CPU},
                                                      {"DATA", RLIMIT_DATA},
                                                      {"FSIZE", RLIMIT_FSIZE},
                                                      {"MEMLOCK", RLIMIT_MEMLOCK},
                                                      {"MSGQUEUE", RLIMIT_MSGQUEUE},
                                                      {"NICE", RLIMIT_NICE},
                                                      {"NOFILE", RLIMIT_NOFILE},
                                                      {"NPROC", RLIMIT_NPROC},
                                                      {"RSS", RLIMIT_RSS},
                                                      {"RTPRIO", RLIMIT_RTPRIO},
                                                      {"RTTIME", RLIMIT_RTTIME},
                                                      {"SIGPENDING", RLIMIT_SIGPENDING},
                                                      {"STACK", RLIMIT_STACK}}};

}  // namespace locald
