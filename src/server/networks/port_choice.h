#pragma once
#include <functional>

#include "base/result.h"
#include "net/network.h"

namespace locald::server {

/// A port of `network` that is free and not `taken`: the first one from `first` to `last`, or, where
/// `last` is 0, any. Milliseconds.
/// @return Errc::unavailable: none of those is free
Result<int> choose_port(net::Network& network, int first, int last,
                        const std::function<bool(int port)>& taken);

}  // namespace locald::server
