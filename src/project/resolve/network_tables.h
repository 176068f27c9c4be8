#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "net/ip_address.h"
#include "project/resolve/texts.h"

namespace locald::project {

/// The tables [networks.NAME] and the services' places in them, with all values put in and checked:
/// what no network can be is a problem at its key's place.
class NetworkTables {
 public:
  using Notices = std::vector<std::pair<std::string, std::string>>;  ///< as Resolved::notices
  /// Reads the tables, also of networks that no service is in.
  NetworkTables(Texts& texts, Notices& notices);

  /// One of the service's `networks` as it needs to know it.
  MemberConfig member(const ServiceSpec& service, const MemberSpec& member);

 private:
  struct Table {
    MemberConfig config;
    SourcePos subnet_at;
    bool takes_addresses = true;  ///< cni: whether its plugins take those of locald
  };
  void read(const NetworkSpec& network);
  void subnet(const NetworkSpec& network, Table& table);
  void allow(const NetworkSpec& network, Table& table);
  void cni(const NetworkSpec& network, Table& table);
  void outbound(const NetworkSpec& network, Table& table);
  bool leaves(const std::string& network) const;
  std::string named(const std::string& network, const std::string& name) const;
  void unused(Notices& notices) const;
  void alias(const ServiceSpec& service, const MemberSpec& member, const Text& text,
             MemberConfig& out);
  void address(const ServiceSpec& service, const MemberSpec& member, MemberConfig& out);

  Texts& texts_;
  Notices& notices_;
  std::map<std::string, Table> tables_;
  /// network -> names of its services -> service
  std::map<std::string, std::map<std::string, std::string>> names_;
  std::map<std::pair<std::string, net::IpAddress>, std::pair<std::string, SourcePos>> addresses_;
};

}  // namespace locald::project
