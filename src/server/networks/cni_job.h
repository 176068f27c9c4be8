#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/environment.h"
#include "net/layout.h"
#include "runtime/job_world.h"
#include "runtime/worker.h"

/// Calls of CNI plugins: a job of a worker, inside the user namespace and the project's sandbox.
namespace locald::server {

/// Of the server's start.
struct CniSettings {
  std::vector<std::string> path;           ///< folders of plugins
  std::string search_path;                 ///< PATH of theirs
  std::chrono::milliseconds limit{10000};  ///< of one call
};

/// A service's place in a network of plugins, as it is recorded.
struct CniPlace {
  std::string service, network;  ///< as in the layout; by name
  std::uint32_t number = 0;      ///< of the network
  std::string container, link;   ///< CNI_CONTAINERID, CNI_IFNAME
  std::string conflist;
  Json capabilities = Json::object();
  std::uint64_t netns_inode = 0;
  bool has_netns = false;  ///< of the job: its descriptor comes with it
  // Once it is connected; before, and where that is not known: null and empty.
  Json result;
  std::vector<std::string> addresses, gateways, nameservers, search, options;

  bool connected() const { return !result.is_null(); }
  Result<net::FoundPlace> found() const;
  static const Fields& fields();

  std::shared_ptr<const UniqueFd> netns;  ///< not recorded; null: it is gone
};

/// What the job is given.
struct CniJob {
  static constexpr const char* kOp = "cni";
  std::string op = kOp;
  std::string command;  ///< "add", "check", "delete"
  std::vector<std::string> path;
  std::string search_path, folder;
  std::chrono::milliseconds limit{};
  bool sandbox = false;  ///< the first descriptor is the sandbox's; else plugins get an empty one
  std::vector<CniPlace> places;
  runtime::JobWorld world = {};
  static const Fields& fields();
};

runtime::WorkerHandler find_cni_job(const std::string& op);

/// Runs `command` for each of `places`, in their order; "add" fills in what it has found.
/// @param sandbox  borrowed; -1: it is gone
/// @param folder   where plugins keep things; it is made
/// @return for each place how it went, or why none was tried
Result<std::vector<Result<void>>> call_plugins(builder::Environment& environment,
                                               const CniSettings& settings,
                                               const std::string& command, int sandbox,
                                               const std::string& folder,
                                               std::vector<CniPlace*> places,
                                               const std::stop_token& stop);

}  // namespace locald::server
