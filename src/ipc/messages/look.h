#pragma once
#include "ipc/messages/common.h"
#include "ipc/messages/project.h"

/// Requests that look into services and copy out of them, and their replies; what happens, as a
/// stream.
namespace locald::ipc {

/// A process of a service.
struct ServiceProcess {
  int pid = 0, parent = 0;
  std::optional<int> pid_inside;  ///< of a container: the number that it has there
  std::string user;
  std::string state;
  std::uint64_t cpu_ns = 0, memory = 0, threads = 0;
  std::int64_t up_s = 0;
  std::string command;
  static const Fields& fields();
};

struct TopReply {
  std::vector<ServiceProcess> processes;
  static const Fields& fields();
};

struct TopRequest {
  static constexpr const char* kName = "top";
  using Reply = TopReply;
  ProjectPlace project;
  std::string service;
  static const Fields& fields();
};

struct CopyReply {
  std::uint64_t entries = 0, bytes = 0;
  std::uint64_t left_out = 0;
  static const Fields& fields();
};

struct CopyRequest {
  static constexpr const char* kName = "cp";
  using Reply = CopyReply;
  ProjectPlace project;
  std::string service;
  std::string inside;        ///< absolute, in the container
  std::string outside;       ///< absolute, on the host
  bool out = false;          ///< from the container to the host; else the other way
  bool contents = false;     ///< of the source, a folder; not itself
  bool into = false;         ///< the target is a folder, which has to be there
  bool follow_link = false;  ///< the source, where it is a symbolic link
  static const Fields& fields();
};

/// What has happened, in the order of `seq`.
struct ChangeEvent {
  std::string event = "change";
  std::uint64_t seq = 0;
  std::string time;
  std::string kind;
  std::string project, service;
  std::optional<ServiceStatus> status;
  std::string text;
  static const Fields& fields();
};

/// How things stand, before the changes that follow.
struct SnapshotEvent {
  std::string event = "snapshot";
  std::uint64_t seq = 0;
  std::string time;
  std::vector<ProjectStatus> projects;
  static const Fields& fields();
};

struct EventsRequest {
  static constexpr const char* kName = "events";
  using Reply = EmptyReply;
  std::optional<ProjectPlace> project;
  std::vector<std::string> services;
  std::optional<std::uint64_t> since;
  static const Fields& fields();
};

/// A project that was up when the machine, or all of its services, ended without a `down`.
struct LeftProject {
  std::string name, dir, file;
  std::vector<std::string> services;
  static const Fields& fields();
};

struct LeftReply {
  std::vector<LeftProject> projects;
  static const Fields& fields();
};

struct LeftRequest {
  static constexpr const char* kName = "project/left";
  using Reply = LeftReply;
  static const Fields& fields();
};

}  // namespace locald::ipc
