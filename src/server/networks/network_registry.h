#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/json/fields.h"
#include "base/result.h"
#include "net/ip_address.h"

namespace locald::server {

/// The numbers that a project's networks are laid out by, and the ports that were chosen for it
/// (STATE/networks.json): kept over `down`, so that addresses and ports stay what people and their
/// tools have seen. Loop thread only.
class NetworkRegistry {
 public:
  struct Project {
    std::string range;                              ///< IPv4, a /16
    std::map<std::string, std::uint32_t> networks;  ///< name -> number
    std::map<std::string, std::uint32_t> services;  ///< name -> number, from 1 on
    std::map<std::string, int> ports;               ///< "SERVICE" or "SERVICE:INSIDE" -> published
    static const Fields& fields();
    friend bool operator==(const Project&, const Project&) = default;
  };

  /// @param notice  set when the file had to be set aside (state_file.h)
  static Result<NetworkRegistry> load(std::string file, std::string& notice);

  /// What is known of `project`, with numbers for what has none yet, and without those of what it
  /// no longer has; nothing is written down. A range that the host has a route into now is
  /// exchanged only where `fresh`: nothing of the project is connected.
  Project assigned(const std::string& project, const std::set<std::string>& networks,
                   const std::set<std::string>& services, bool fresh) const;
  /// From now on that is it. Its chosen ports stay.
  Result<void> set(const std::string& project, Project numbers);
  /// A network that another record remembers: what is set of it is not written down, and is known
  /// until it is forgotten, or this server ends.
  /// @param range  that it has; empty: one is chosen  @return its range
  std::string keep_for_now(const std::string& project, const std::string& range);
  /// A port that was chosen earlier; 0: none.
  int port(const std::string& project, const std::string& key) const;
  /// From now on it is that one.
  Result<void> set_ports(const std::string& project, const std::map<std::string, int>& ports);
  /// All that is known of the project.
  Result<void> forget(const std::string& project);
  /// Ports of all projects but `except`, so that nobody is given another's.
  std::set<int> ports_of_others(const std::string& except) const;
  /// Writes the file again where somebody has deleted it.
  Result<void> write_back() const;

 private:
  explicit NetworkRegistry(std::string file) : file_(std::move(file)) {}
  std::map<std::string, Project> lasting(std::map<std::string, Project> projects) const;
  Result<void> save(std::map<std::string, Project> projects);

  std::string file_;
  std::map<std::string, Project> projects_;
  std::set<std::string> for_now_;  // of those
};

/// The first /16 for `project` that the host has no route into. Reads /proc/net/route.
net::Subnet choose_range(const std::string& project);
/// The /48 of fd00::/8 that goes with it.
net::Subnet range_v6(const std::string& project);

}  // namespace locald::server
