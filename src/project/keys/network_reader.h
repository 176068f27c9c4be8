#pragma once
#include <string>
#include <vector>

#include "project/keys/key_reader.h"

/// The keys about networks.
namespace locald::project {

/// "host", "none", "project" or "service:NAME".
void read_network_mode(const Node& node, const std::string& where, Sink& sink, NetworkUse& out);
/// ["front", { name = "back", aliases = ["pg"], address = "…" }].
void read_members(const Node& node, const std::string& where, Sink& sink,
                  std::vector<MemberSpec>& out);
/// [80, "8080:80"].
void read_ports(const Node& node, const std::string& where, Sink& sink, std::vector<Text>& out);
/// The tables [networks.NAME].
void read_networks(const Node& node, const std::string& where, Sink& sink,
                   std::vector<NetworkSpec>& out);
/// [5432, 3306].
void read_port_numbers(const Node& node, const std::string& where, Sink& sink,
                       std::vector<int>& out);
/// "+8000".
void read_low_ports(const Node& node, const std::string& where, Sink& sink, int& out);

const Shape& network_shape();    ///< of a service
const Shape& networks_of_all();  ///< of [project]
const Shape& members_shape();
const Shape& ports_shape();
const Shape& networks_shape();
const Shape& port_numbers_shape();
const Shape& low_ports_shape();

}  // namespace locald::project
