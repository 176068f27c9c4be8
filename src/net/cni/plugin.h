#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"

namespace locald::net {

/// Where CNI plugins run, and what they find there.
struct CniWorld {
  std::vector<std::string> path;      ///< folders of plugins: CNI_PATH
  std::string search_path;            ///< PATH, for the programs that they call
  std::string folder;                 ///< theirs to keep things in, absolute; it is there
  int sandbox = -1;                   ///< the network namespace that they run in; borrowed
  std::chrono::milliseconds limit{};  ///< for one call of one plugin
};

/// One call of one plugin.
struct PluginCall {
  std::string type;       ///< of the plugin
  std::string command;    ///< "ADD", "CHECK", "DEL"
  std::string container;  ///< CNI_CONTAINERID
  std::string link;       ///< CNI_IFNAME
  int netns = -1;         ///< the container's; borrowed; -1: it is gone
  Json config;
};

/// Runs a plugin to its end, in a pid and a mount namespace of its own: with it goes all that it has
/// started. Of the host it sees neither D-Bus (firewalld listens there) nor /var/lib/cni, and /sys
/// shows the sandbox's links. Needs the rights of sandbox.h; blocks. When the calling thread ends,
/// so does the plugin.
/// @return what it printed; Errc::not_found: it is in none of the folders; Errc::timed_out: it was
///         ended; Errc::failed: what it says itself of its failure.
Result<Json> run_plugin(const CniWorld& world, const PluginCall& call);

}  // namespace locald::net
