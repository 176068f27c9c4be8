#pragma once
#include "ipc/messages/image.h"

/// Requests that keep the image store in order, about registries' logins, and about the disk.
namespace locald::ipc {

struct ImageTagReply {
  std::string name, digest;
  static const Fields& fields();
};

struct ImageTagRequest {
  static constexpr const char* kName = "image/tag";
  using Reply = ImageTagReply;
  std::string image, target;
  std::string cwd;
  static const Fields& fields();
};

struct ImageStep {
  std::string created, created_by, comment;
  bool empty = false;  ///< it made no layer
  std::uint64_t size = 0;
  std::string diff_id;
  static const Fields& fields();
};

struct ImageHistoryReply {
  ImageEntry image;
  std::vector<ImageStep> steps;
  static const Fields& fields();
};

struct ImageHistoryRequest {
  static constexpr const char* kName = "image/history";
  using Reply = ImageHistoryReply;
  std::string image, cwd;
  static const Fields& fields();
};

struct ImagePruneReply {
  std::vector<std::string> removed;
  std::vector<std::string> kept;  ///< unused, but for `all`
  std::uint64_t freed_bytes = 0;
  static const Fields& fields();
};

struct ImagePruneRequest {
  static constexpr const char* kName = "image/prune";
  using Reply = ImagePruneReply;
  bool all = false, dry_run = false;
  static const Fields& fields();
};

struct LoginReply {
  std::string registry;
  bool asked = true;  ///< false: the registry wants no login
  static const Fields& fields();
};

struct LoginRequest {
  static constexpr const char* kName = "registry/login";
  using Reply = LoginReply;
  std::string registry, user, password;
  static const Fields& fields();
};

/// What one kind of thing takes of the disk.
struct DiskUse {
  std::string kind;
  std::uint64_t count = 0, bytes = 0;
  std::uint64_t free_count = 0, free_bytes = 0;  ///< of them: not in use
  std::string command;
  static const Fields& fields();
};

struct DiskReply {
  std::string data, state;
  std::vector<DiskUse> uses;
  static const Fields& fields();
};

struct DiskRequest {
  static constexpr const char* kName = "system/df";
  using Reply = DiskReply;
  static const Fields& fields();
};

}  // namespace locald::ipc
