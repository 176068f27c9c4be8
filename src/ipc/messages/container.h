#pragma once
#include "ipc/messages/common.h"

/// Requests about containers that belong to no project.
namespace locald::ipc {

struct ContainerRunRequest {
  static constexpr const char* kName = "container/run";
  std::string image;
  std::vector<std::string> argv;          ///< empty: the image's
  std::optional<std::string> entrypoint;  ///< absent: the image's; "": none
  std::map<std::string, std::string> env;
  std::vector<std::string> volumes, tmpfs;
  std::string user, workdir;  ///< empty: the image's
  std::string cwd, home;      ///< relative paths and `~/` of `volumes` and `image` start here
  bool tty = false, open_stdin = false, rm = false, init = false, detach = false;
  std::string pull = "missing", network = "host";
  WindowSize size;
  std::string name;  ///< empty: none
  std::vector<std::string> login_files;
  static const Fields& fields();
};

struct ContainerListRequest {
  static constexpr const char* kName = "container/ls";
  static const Fields& fields();
};

struct ContainerRemoveRequest {
  static constexpr const char* kName = "container/rm";
  std::vector<std::string> ids;
  bool force = false;
  static const Fields& fields();
};

}  // namespace locald::ipc
