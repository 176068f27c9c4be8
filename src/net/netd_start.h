#pragma once

/// How the server starts a netd: what its descriptors are, and what it says once it runs.
///
///     server                        locald-netd
///       | -- exec, descriptors 3.. ->|  forks, and the first one ends; in a session of its own it
///       |                            |  forks one that connects outside, joins the user namespace
///       |                            |  and the sandbox, forks one that connects inside
///       |<-- kNetdReady, or why not -|  over kNetdStatus
///       | -- plans ----------------->|  over the sockets of its two controls (netd/control.h); with
///       |                            |  the first one it closes kNetdStatus, where a server that
///       |                            |  has ended before would have been seen
namespace locald::net {

#ifdef LOCALD_NETD_VERSION
inline constexpr int kNetdVersion = LOCALD_NETD_VERSION;  ///< of a test's
#else
inline constexpr int kNetdVersion = 1;  ///< of what is said over the controls
#endif

inline constexpr char kNetdRun[] = "run";           ///< argv[1], rootless
inline constexpr char kNetdRunRoot[] = "run-root";  ///< as root: there is no user namespace
// argv[2], if any, is for people who read `ps`.

inline constexpr int kNetdControl = 3;         ///< listens: of the process that holds connections
inline constexpr int kNetdOutsideControl = 4;  ///< listens: of the one that connects outside
inline constexpr int kNetdSandbox = 5;         ///< a network namespace
inline constexpr int kNetdStatus = 6;          ///< a pipe
inline constexpr int kNetdUserNamespace = 7;   ///< rootless only
inline constexpr int kNetdFds = 8;             ///< the first that is not one of these

inline constexpr char kNetdReady[] = "ready";  ///< and, after a space, its pid and a new line

}  // namespace locald::net
