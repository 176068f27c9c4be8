#pragma once
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "project/port_text.h"
#include "project/resolve/texts.h"

namespace locald::project {

/// The ports of the host that a project's services want: each can be one service's. What two want
/// is a problem at the place of the second, which names that of the first.
class PortClaims {
 public:
  explicit PortClaims(Texts& texts) : texts_(texts) {}

  /// One that `service` publishes. @return whether nothing else wants it.
  bool publish(const ServiceSpec& service, SourcePos at, const PortConfig& port);
  /// One that it listens on itself, on the host's network: at which address only it knows.
  bool listen(const ServiceSpec& service, SourcePos at, int port);

 private:
  struct Claim {
    const ServiceSpec* service;
    SourcePos at;
    PortConfig port;
    bool listens;
  };
  bool add(const Claim& claim);
  void refuse(const Claim& first, const Claim& second);

  Texts& texts_;
  std::map<std::pair<bool, int>, std::vector<Claim>> claims_;  // by udp and port
};

}  // namespace locald::project
