#pragma once
#include "ipc/messages/common.h"
#include "ipc/messages/service.h"

/// Requests about containers that belong to no project, and their replies.
namespace locald::ipc {

struct ContainerRunReply {
  std::string id;
  std::optional<std::string> socket, nonce;  ///< while it runs: where it is attached to
  // of a detached one that never ran
  std::optional<int> exit_code;
  std::optional<std::string> reason;
  static const Fields& fields();
};

struct ContainerStatus {
  std::string id;
  std::optional<std::string> name;
  std::string image;
  std::vector<std::string> command;
  std::string state;
  std::optional<int> pid;
  std::string created_at;
  std::optional<std::string> started_at;
  std::optional<int> exit_code;
  std::optional<std::string> signal, reason;
  std::string network;
  std::vector<ServicePort> ports;
  static const Fields& fields();
};

struct ContainerListReply {
  std::vector<ContainerStatus> containers;
  static const Fields& fields();
};

struct ContainerRemoveReply {
  std::vector<std::string> removed;
  static const Fields& fields();
};

struct ContainerRunRequest {
  static constexpr const char* kName = "container/run";
  using Reply = ContainerRunReply;
  std::string image;
  std::vector<std::string> argv;          ///< empty: the image's
  std::optional<std::string> entrypoint;  ///< absent: the image's; "": none
  std::map<std::string, std::string> env;
  std::vector<std::string> volumes, tmpfs;
  std::string user, workdir;  ///< empty: the image's
  std::string cwd, home;      ///< relative paths and `~/` of `volumes` and `image` start here
  bool tty = false, open_stdin = false, rm = false, init = false, detach = false;
  std::string pull = "missing", network = "own";
  std::vector<std::string> ports;
  WindowSize size;
  std::string name;  ///< empty: none
  std::vector<std::string> login_files;
  static const Fields& fields();
};

struct ContainerListRequest {
  static constexpr const char* kName = "container/ls";
  using Reply = ContainerListReply;
  static const Fields& fields();
};

struct ContainerRemoveRequest {
  static constexpr const char* kName = "container/rm";
  using Reply = ContainerRemoveReply;
  std::vector<std::string> ids;
  bool force = false;
  static const Fields& fields();
};

}  // namespace locald::ipc
