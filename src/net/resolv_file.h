#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "net/socket_address.h"

/// /etc/resolv.conf: the resolvers of names. Spec: resolv.conf(5).
namespace locald::net {

/// Those that `text` names, 127.0.0.1 where it names none. Names with a zone ("fe80::1%eth0") are
/// left out. Pure.
std::vector<AddressAndPort> resolvers(std::string_view text);

/// The text of a container's own, in a network of its own. Pure.
std::string resolv_text(const std::vector<std::string>& nameservers,
                        const std::vector<std::string>& search = {},
                        const std::vector<std::string>& options = {});

}  // namespace locald::net
