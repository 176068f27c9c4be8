#pragma once
#include "ipc/messages/common.h"

/// Requests about the image store.
namespace locald::ipc {

struct ImagePullRequest {
  static constexpr const char* kName = "image/pull";
  std::string image;
  std::string policy = "always";
  std::string cwd;
  std::vector<std::string> login_files;
  static const Fields& fields();
};

struct ImageListRequest {
  static constexpr const char* kName = "image/ls";
  static const Fields& fields();
};

struct ImageRemoveRequest {
  static constexpr const char* kName = "image/rm";
  std::vector<std::string> images;
  static const Fields& fields();
};

struct ImageUnpackRequest {
  static constexpr const char* kName = "image/unpack";
  std::string image, dir;
  std::string cwd;
  std::vector<std::string> login_files;
  static const Fields& fields();
};

struct ImageExportRequest {
  static constexpr const char* kName = "image/export";
  std::string image, target;
  std::string cwd;
  static const Fields& fields();
};

struct ImagePushRequest {
  static constexpr const char* kName = "image/push";
  std::string image, target;  ///< an empty target: the image's name
  std::string cwd;
  std::vector<std::string> login_files;
  static const Fields& fields();
};

struct ImageRebaseRequest {
  static constexpr const char* kName = "image/rebase";
  std::string image, run_image;  ///< an empty run image: the one of the image's label
  bool force = false;
  std::string policy = "always";
  std::string cwd;
  std::vector<std::string> login_files;
  static const Fields& fields();
};

}  // namespace locald::ipc
