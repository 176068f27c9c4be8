#pragma once
#include <map>
#include <string>
#include <vector>

namespace locald::net {

/// The text of a container's /etc/hosts: the host's, with `hostname` and `names` at
/// the addresses given here and nowhere else. Pure.
std::string hosts_text(const std::string& host_file, const std::string& hostname,
                       const std::map<std::string, std::vector<std::string>>& names);

}  // namespace locald::net
