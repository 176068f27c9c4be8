#pragma once
#include <chrono>

#include "ipc/messages/service.h"

/// Requests about projects, their services, and sessions in them, and their replies.
namespace locald::ipc {

using Timeout = std::optional<std::chrono::milliseconds>;  ///< absent: no limit

/// What `up` is told of a compose file beside what it says itself.
struct ComposeWishes {
  std::vector<std::string> profiles, allow_unsupported;
  std::string publish_address;
  static const Fields& fields();
};

/// What came of services that were brought up, started, stopped or restarted.
struct UpReply {
  std::string project;
  std::vector<ServiceStatus> services;         ///< those that were meant
  std::vector<std::string> failed;             ///< names
  std::map<std::string, std::string> reasons;  ///< of each that failed
  std::map<std::string, std::string> changes;  ///< what `up` made of each: "recreated: env"
  bool timed_out = false;
  static const Fields& fields();
};

/// A project that the server knows, and its services.
struct ProjectStatus {
  std::string project, dir;
  std::vector<ServiceStatus> services;
  static const Fields& fields();
};

/// A sentence for people.
struct ServiceNotice {
  std::string service;  ///< empty: of none
  std::string text;
  static const Fields& fields();
};

struct StatusReply {
  // of one project
  std::optional<std::string> project;
  std::optional<std::vector<ServiceStatus>> services;
  // of all
  std::optional<std::vector<ProjectStatus>> projects;
  std::vector<ServiceNotice> notices;
  static const Fields& fields();
};

/// Where a service's log is. Clients read the segments themselves.
struct LogPlace {
  std::string name, dir;
  std::uint64_t first_segment = 0;  ///< where its present or last run begins
  std::string nonce;                ///< of that run; empty: not known
  static const Fields& fields();
};

struct LogsReply {
  std::vector<LogPlace> services;
  static const Fields& fields();
};

struct ConfigCheckReply {
  std::string project;
  std::vector<std::string> services;
  std::string file;
  std::vector<ServiceNotice> notices;
  static const Fields& fields();
};

struct ConfigSchemaReply {
  Json schema;  ///< JSON Schema, draft 7
  static const Fields& fields();
};

struct ProposedService {
  std::string name;
  std::string what;  ///< "npm run dev", "postgres:17"
  std::string from;  ///< "package.json: scripts.dev"
  static const Fields& fields();
};

struct InitReply {
  std::string text;
  std::vector<ProposedService> services;
  std::vector<std::string> files, notes;
  static const Fields& fields();
};

struct KnownProject {
  std::string name, dir;
  bool running = false;
  static const Fields& fields();
};

struct ProjectListReply {
  std::vector<KnownProject> projects;
  static const Fields& fields();
};

/// Where a command that runs beside a service is attached to.
struct ExecReply {
  std::string socket, nonce;
  static const Fields& fields();
};

struct AttachReply {
  std::string socket, nonce;
  bool tty = false;
  static const Fields& fields();
};

struct UpRequest {
  static constexpr const char* kName = "up";
  using Reply = UpReply;
  ProjectPlace project;
  std::vector<std::string> services;  ///< with their dependencies; empty: all
  World world;
  bool env_refresh = false;
  std::optional<std::string> low_ports;
  ComposeWishes compose = {};
  bool wait = false;
  bool dependencies = false;  ///< of `services`, not they themselves
  Timeout timeout;
  static const Fields& fields();
};

struct DownRequest {
  static constexpr const char* kName = "down";
  using Reply = EmptyReply;
  ProjectPlace project;
  bool volumes = false;
  static const Fields& fields();
};

struct StartRequest {
  static constexpr const char* kName = "start";
  using Reply = UpReply;
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  Timeout timeout;
  static const Fields& fields();
};

struct StopRequest {
  static constexpr const char* kName = "stop";
  using Reply = UpReply;
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  Timeout timeout;
  static const Fields& fields();
};

struct RestartRequest {
  static constexpr const char* kName = "restart";
  using Reply = UpReply;
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  Timeout timeout;
  static const Fields& fields();
};

struct WaitRequest {
  static constexpr const char* kName = "wait";
  using Reply = UpReply;
  ProjectPlace project;
  std::vector<std::string> services;
  bool exited = false;  ///< waited for to their end; else until they are healthy
  std::optional<std::chrono::milliseconds> timeout;
  static const Fields& fields();
};

struct KillRequest {
  static constexpr const char* kName = "kill";
  using Reply = EmptyReply;
  ProjectPlace project;
  static const Fields& fields();
};

struct StatusRequest {
  static constexpr const char* kName = "status";
  using Reply = StatusReply;
  std::optional<ProjectPlace> project;  ///< absent only with `all`
  bool all = false;
  static const Fields& fields();
};

struct WatchRequest {
  static constexpr const char* kName = "watch";
  using Reply = EmptyReply;
  ProjectPlace project;
  static const Fields& fields();
};

struct LogsRequest {
  static constexpr const char* kName = "logs";
  using Reply = LogsReply;
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  static const Fields& fields();
};

struct ConfigCheckRequest {
  static constexpr const char* kName = "config/check";
  using Reply = ConfigCheckReply;
  ProjectPlace project;
  std::map<std::string, std::string> env;
  ComposeWishes compose = {};
  static const Fields& fields();
};

struct ConfigSchemaRequest {
  static constexpr const char* kName = "config/schema";
  using Reply = ConfigSchemaReply;
  static const Fields& fields();
};

struct InitRequest {
  static constexpr const char* kName = "init";
  using Reply = InitReply;
  std::string dir;
  std::vector<std::string> without;
  static const Fields& fields();
};

struct ProjectListRequest {
  static constexpr const char* kName = "project/ls";
  using Reply = ProjectListReply;
  static const Fields& fields();
};

struct ProjectForgetRequest {
  static constexpr const char* kName = "project/forget";
  using Reply = EmptyReply;
  std::string name;
  static const Fields& fields();
};

struct ExecRequest {
  static constexpr const char* kName = "exec";
  using Reply = ExecReply;
  ProjectPlace project;
  std::string service;
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  std::string user, cwd;  ///< empty: the service's
  bool tty = false, open_stdin = false;
  WindowSize size;
  static const Fields& fields();
};

/// As ExecRequest, in a process or container of its own.
struct RunRequest {
  static constexpr const char* kName = "run";
  using Reply = ExecReply;
  ProjectPlace project;
  std::string service;
  std::vector<std::string> argv;  ///< empty: the service's
  std::map<std::string, std::string> env;
  std::string user, cwd;  ///< empty: the service's
  bool tty = false, open_stdin = false;
  WindowSize size;
  static const Fields& fields();
};

/// What a service takes of the machine, since its start.
struct ServiceUsage {
  std::string name;
  std::uint64_t cpu_ns = 0, memory = 0, tasks = 0;
  std::optional<std::uint64_t> read, written;
  std::string source;  ///< "cgroup" or "processes"
  static const Fields& fields();
};

struct StatsReply {
  std::uint64_t taken_at_ns = 0;  ///< CLOCK_MONOTONIC
  std::vector<ServiceUsage> services;
  static const Fields& fields();
};

struct StatsRequest {
  static constexpr const char* kName = "stats";
  using Reply = StatsReply;
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  static const Fields& fields();
};

struct InspectReply {
  std::string project;
  ServiceStatus service;
  Json config;
  std::optional<std::string> image_digest;
  static const Fields& fields();
};

struct InspectRequest {
  static constexpr const char* kName = "inspect";
  using Reply = InspectReply;
  ProjectPlace project;
  std::string service;
  bool env = false;
  static const Fields& fields();
};

struct AttachRequest {
  static constexpr const char* kName = "attach";
  using Reply = AttachReply;
  ProjectPlace project;
  std::string service;
  static const Fields& fields();
};

}  // namespace locald::ipc
