#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/layout.h"

namespace locald::server {

/// A container that runs in a project's networks.
struct NamedContainer {
  std::string service;  ///< whose it is
  std::string bundle;   ///< its folder
};

/// The /etc/hosts of a container, for what its networks have now.
struct HostsFile {
  std::string path;
  std::string text;
};

/// Those of `containers` that have other names with `now` than with `before`.
/// @param member  whose place in the networks a service has
std::vector<HostsFile> changed_hosts(
    const std::vector<NamedContainer>& containers, const net::Layout& before,
    const net::Layout& now, const std::function<std::string(const std::string& service)>& member);

/// Writes it in place: the container has this very file mounted. A reader sees the old text or the
/// new one. Blocks. @return Errc::not_found: the container has ended.
Result<void> rewrite(const HostsFile& file);

}  // namespace locald::server
