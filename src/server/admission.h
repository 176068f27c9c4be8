#pragma once
#include <array>
#include <cstdint>
#include <string_view>

/// What a request meets in each state of its subject (R-TABLE): one constant table for each kind of
/// thing that has states with a tail (something is still being ended, removed, prepared). Handlers
/// ask it; the model test plays against it.
namespace locald::server {

enum class Meets : std::uint8_t {
  go,      ///< it is done
  queue,   ///< it waits until the state is over, and is then looked at again
  join,    ///< what it wants is in progress: it ends with that
  refuse,  ///< an error that names the state; nothing is touched
};

// --- projects ---------------------------------------------------------------------------------

enum class ProjectState : std::uint8_t {
  down,        ///< nothing of it runs, nothing of it is being removed
  up,          ///< each of its services has a state that says what runs
  going_down,  ///< from `down` until the last of what it leaves on disk is removed
};
inline constexpr std::size_t kProjectStates = 3;

enum class ProjectVerb : std::uint8_t {
  up,
  down,
  start,
  stop,
  restart,
  kill,
  exec,
  run,
  attach,
  status,
  watch,
  logs,
  stats,
  wait,
  forget,
};

struct ProjectRule {
  ProjectVerb verb;
  std::string_view request;  ///< its name in ipc/api.h
  Meets meets[kProjectStates];
};

// clang-format off
inline constexpr std::array<ProjectRule, 15> kProjectRules{{
    //                                          down           up             going_down
    {ProjectVerb::up,      "up",             {Meets::go,     Meets::go,     Meets::queue}},
    {ProjectVerb::down,    "down",           {Meets::go,     Meets::go,     Meets::join}},
    {ProjectVerb::start,   "start",          {Meets::refuse, Meets::go,     Meets::refuse}},
    {ProjectVerb::stop,    "stop",           {Meets::refuse, Meets::go,     Meets::join}},
    {ProjectVerb::restart, "restart",        {Meets::refuse, Meets::go,     Meets::refuse}},
    {ProjectVerb::kill,    "kill",           {Meets::refuse, Meets::go,     Meets::go}},
    {ProjectVerb::exec,    "exec",           {Meets::refuse, Meets::go,     Meets::refuse}},
    {ProjectVerb::run,     "run",            {Meets::refuse, Meets::go,     Meets::refuse}},
    {ProjectVerb::attach,  "attach",         {Meets::refuse, Meets::go,     Meets::go}},
    {ProjectVerb::status,  "status",         {Meets::go,     Meets::go,     Meets::go}},
    {ProjectVerb::watch,   "watch",          {Meets::refuse, Meets::go,     Meets::go}},
    {ProjectVerb::logs,    "logs",           {Meets::go,     Meets::go,     Meets::go}},
    {ProjectVerb::stats,   "stats",          {Meets::refuse, Meets::go,     Meets::go}},
    {ProjectVerb::wait,    "wait",           {Meets::refuse, Meets::go,     Meets::go}},
    {ProjectVerb::forget,  "project/forget", {Meets::go,     Meets::refuse, Meets::refuse}},
}};
// clang-format on

constexpr Meets meets(ProjectVerb verb, ProjectState state) {
  return kProjectRules[static_cast<std::size_t>(verb)].meets[static_cast<std::size_t>(state)];
}

// --- containers of `container run`
// ----------------------------------------------------------------

enum class ContainerState : std::uint8_t {
  none,      ///< there is none of that name
  starting,  ///< its image is fetched, its bundle made: a job
  running,
  ending,    ///< it has ended, what it had at run time is being removed: a job
  ended,     ///< it is listed
  removing,  ///< it is killed to be removed, or the rest of it is being removed: a job
};
inline constexpr std::size_t kContainerStates = 6;

enum class ContainerVerb : std::uint8_t {
  run,  ///< with that name
  remove,
  remove_forced,
};

struct ContainerRule {
  ContainerVerb verb;
  Meets meets[kContainerStates];
};

// clang-format off
inline constexpr std::array<ContainerRule, 3> kContainerRules{{
    //                              none           starting       running        ending        ended          removing
    {ContainerVerb::run,           {Meets::go,     Meets::refuse, Meets::refuse, Meets::refuse, Meets::refuse, Meets::queue}},
    {ContainerVerb::remove,        {Meets::refuse, Meets::refuse, Meets::refuse, Meets::queue,  Meets::go,     Meets::join}},
    {ContainerVerb::remove_forced, {Meets::refuse, Meets::go,     Meets::go,     Meets::queue,  Meets::go,     Meets::join}},
}};
// clang-format on

constexpr Meets meets(ContainerVerb verb, ContainerState state) {
  return kContainerRules[static_cast<std::size_t>(verb)].meets[static_cast<std::size_t>(state)];
}

// --- images and caches
// ------------------------------------------------------------------------------
//
// Their states are on disk, where starts and builds leave them, and are decided there (kInUse in
// builder/storage.h, AppLock in builder/cnb): `image rm`, `cache rm` and `cache prune` go where no
// container stands on what they take, are refused (prune: pass it by) where one does, and wait
// while one is just being started or the app is built. A start that comes second says so.

// --- the server ---------------------------------------------------------------------------------

enum class ServerState : std::uint8_t {
  serving,
  stopping,  ///< from `server/stop` until the process ends; with `all` that takes a while
};
inline constexpr std::size_t kServerStates = 2;

struct ServerRule {
  std::string_view request;
  Meets meets[kServerStates];
};

/// What is not named here goes while the server serves, and is refused while it stops.
inline constexpr std::array<ServerRule, 10> kServerRules{{
    {"version", {Meets::go, Meets::go}},
    {"server/status", {Meets::go, Meets::go}},
    {"server/stop", {Meets::go, Meets::join}},
    {"down", {Meets::go, Meets::go}},
    {"kill", {Meets::go, Meets::go}},
    {"status", {Meets::go, Meets::go}},
    {"logs", {Meets::go, Meets::go}},
    {"project/ls", {Meets::go, Meets::go}},
    {"container/ls", {Meets::go, Meets::go}},
    {"container/rm", {Meets::go, Meets::go}},
}};

constexpr Meets meets(std::string_view request, ServerState state) {
  for (const ServerRule& rule : kServerRules)
    if (rule.request == request) return rule.meets[static_cast<std::size_t>(state)];
  return state == ServerState::serving ? Meets::go : Meets::refuse;
}

// --- that the tables are whole
// ----------------------------------------------------------------------

namespace detail {
template <typename Rules>
constexpr bool in_order(const Rules& rules) {
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (static_cast<std::size_t>(rules[i].verb) != i) return false;
  return true;
}
}  // namespace detail
static_assert(detail::in_order(kProjectRules) && detail::in_order(kContainerRules));

}  // namespace locald::server
