#pragma once
#include "ipc/messages/service.h"
#include "net/endpoint.h"
#include "project/port_text.h"

namespace locald::server {

/// A published port as replies have it. @param inside  where it leads
inline ipc::ServicePort service_port(const project::PortConfig& port, int inside) {
  return {.address = port.address.empty() ? net::kLoopback : port.address,
          .port = port.port,
          .container_port = inside,
          .protocol = port.udp ? "udp" : "tcp"};
}

}  // namespace locald::server
