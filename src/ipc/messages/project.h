#pragma once
#include <chrono>

#include "ipc/messages/common.h"

/// Requests about projects, their services, and sessions in them.
namespace locald::ipc {

using Timeout = std::optional<std::chrono::milliseconds>;  ///< absent: no limit

struct UpRequest {
  static constexpr const char* kName = "up";
  ProjectPlace project;
  std::vector<std::string> services;  ///< with their dependencies; empty: all
  World world;
  bool env_refresh = false, wait = false;
  Timeout timeout;
  static const Fields& fields();
};

struct DownRequest {
  static constexpr const char* kName = "down";
  ProjectPlace project;
  bool volumes = false;
  static const Fields& fields();
};

struct StartRequest {
  static constexpr const char* kName = "start";
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  Timeout timeout;
  static const Fields& fields();
};

struct StopRequest {
  static constexpr const char* kName = "stop";
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  Timeout timeout;
  static const Fields& fields();
};

struct RestartRequest {
  static constexpr const char* kName = "restart";
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  Timeout timeout;
  static const Fields& fields();
};

struct KillRequest {
  static constexpr const char* kName = "kill";
  ProjectPlace project;
  static const Fields& fields();
};

struct StatusRequest {
  static constexpr const char* kName = "status";
  std::optional<ProjectPlace> project;  ///< absent only with `all`
  bool all = false;
  static const Fields& fields();
};

struct WatchRequest {
  static constexpr const char* kName = "watch";
  ProjectPlace project;
  static const Fields& fields();
};

struct LogsRequest {
  static constexpr const char* kName = "logs";
  ProjectPlace project;
  std::vector<std::string> services;  ///< empty: all
  static const Fields& fields();
};

struct ConfigCheckRequest {
  static constexpr const char* kName = "config/check";
  ProjectPlace project;
  std::map<std::string, std::string> env;
  static const Fields& fields();
};

struct ProjectListRequest {
  static constexpr const char* kName = "project/ls";
  static const Fields& fields();
};

struct ProjectForgetRequest {
  static constexpr const char* kName = "project/forget";
  std::string name;
  static const Fields& fields();
};

struct ExecRequest {
  static constexpr const char* kName = "exec";
  ProjectPlace project;
  std::string service;
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  std::string user, cwd;  ///< empty: the service's
  bool tty = false, open_stdin = false;
  WindowSize size;
  static const Fields& fields();
};

struct AttachRequest {
  static constexpr const char* kName = "attach";
  ProjectPlace project;
  std::string service;
  static const Fields& fields();
};

}  // namespace locald::ipc
