#pragma once
#include <stop_token>
#include <string>

#include "base/paths.h"
#include "base/result.h"
#include "builder/environment.h"
#include "runtime/user_namespace.h"

namespace locald::server {

/// What a project's network takes, tried out: it is made as for a project, and given up at once.
struct NetworkTrial {
  Result<void> network;  ///< namespaces, a bridge, links, the firewall
  Result<void> netd;     ///< starts, is confined and answers; not tried without the former
};

/// Blocks: some 50 ms. Leaves nothing.
/// @param netd  path of locald-netd
NetworkTrial try_network(builder::Environment& environment, runtime::UserNamespace& user_namespace,
                         const Paths& paths, const std::string& netd, const std::stop_token& stop);

}  // namespace locald::server
