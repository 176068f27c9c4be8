#pragma once
#include "base/result.h"
#include "project/port_text.h"
#include "project/project_spec.h"
#include "project/resolve/resolve.h"

namespace locald::project {

/// Ports of the host below those that this user may listen on: `low_ports` moves published ones up.
class LowPorts {
 public:
  LowPorts(const ProjectSpec& spec, const Rights& rights)
      : by_(spec.low_ports), first_(rights.first_port) {}

  /// Where a port is published that is written as `port`, whose range ends with `port.last`. Beyond
  /// 65535 it is refused by check().
  PortConfig moved(PortConfig port) const;
  int moved(int port) const { return moved({.address = "", .port = port}).port; }
  /// @return Errc::denied: `port` is below those, and stays there; Errc::invalid_input: there is no
  ///         port so far up.
  Result<void> check(const PortConfig& port) const;

 private:
  int by_, first_;
};

}  // namespace locald::project
