#pragma once
#include "ipc/messages/common.h"

/// Requests about the image store, and their replies.
namespace locald::ipc {

struct ImagePullReply {
  std::string name, digest;
  std::uint64_t size = 0;
  bool contacted = false;  ///< its origin was asked
  std::vector<std::string> warnings;
  static const Fields& fields();
};

struct ImageEntry {
  std::string name, digest, id;
  std::uint64_t size = 0;
  std::string created, pulled_at;
  std::uint64_t layers = 0;
  static const Fields& fields();
};

struct ImageListReply {
  std::vector<ImageEntry> images;
  static const Fields& fields();
};

struct ImageInspectReply {
  ImageEntry image;
  std::string os, architecture;
  std::vector<std::string> entrypoint, command;
  std::map<std::string, std::string> env;
  std::string user, workdir, stop_signal;
  std::vector<std::string> volumes, exposed_ports;
  std::map<std::string, std::string> labels;
  std::vector<std::string> diff_ids;
  static const Fields& fields();
};

struct ImageRemoveReply {
  std::vector<std::string> removed;
  std::uint64_t freed_bytes = 0;
  static const Fields& fields();
};

struct ImageUnpackReply {
  std::string digest;
  std::uint64_t entries = 0;
  std::vector<std::string> warnings;
  static const Fields& fields();
};

struct ImageExportReply {
  std::string name, target, digest, id;
  std::uint64_t size = 0;
  static const Fields& fields();
};

struct ImagePushReply {
  std::string name, digest, id;
  std::uint64_t uploaded = 0, mounted = 0, there_before = 0;  ///< blobs
  std::uint64_t uploaded_bytes = 0;
  static const Fields& fields();
};

struct ImageRebaseReply {
  std::string name, digest, id;
  bool changed = false;
  std::string run_image, run_image_digest;
  std::vector<std::string> notices;
  static const Fields& fields();
};

struct ImagePullRequest {
  static constexpr const char* kName = "image/pull";
  using Reply = ImagePullReply;
  std::string image;
  std::string policy = "always";
  std::string cwd;
  std::vector<std::string> login_files;
  static const Fields& fields();
};

struct ImageListRequest {
  static constexpr const char* kName = "image/ls";
  using Reply = ImageListReply;
  static const Fields& fields();
};

struct ImageInspectRequest {
  static constexpr const char* kName = "image/inspect";
  using Reply = ImageInspectReply;
  std::string image, cwd;
  static const Fields& fields();
};

struct ImageRemoveRequest {
  static constexpr const char* kName = "image/rm";
  using Reply = ImageRemoveReply;
  std::vector<std::string> images;
  static const Fields& fields();
};

struct ImageUnpackRequest {
  static constexpr const char* kName = "image/unpack";
  using Reply = ImageUnpackReply;
  std::string image, dir;
  std::string cwd;
  std::vector<std::string> login_files;
  static const Fields& fields();
};

struct ImageExportRequest {
  static constexpr const char* kName = "image/export";
  using Reply = ImageExportReply;
  std::string image, target;
  std::string cwd;
  static const Fields& fields();
};

struct ImagePushRequest {
  static constexpr const char* kName = "image/push";
  using Reply = ImagePushReply;
  std::string image, target;  ///< an empty target: the image's name
  std::string cwd;
  std::vector<std::string> login_files;
  static const Fields& fields();
};

struct ImageRebaseRequest {
  static constexpr const char* kName = "image/rebase";
  using Reply = ImageRebaseReply;
  std::string image, run_image;  ///< an empty run image: the one of the image's label
  bool force = false;
  std::string policy = "always";
  std::string cwd;
  std::vector<std::string> login_files;
  static const Fields& fields();
};

}  // namespace locald::ipc
