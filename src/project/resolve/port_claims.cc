#include "project/resolve/port_claims.h"

#include <fmt/format.h>

namespace locald::project {

bool PortClaims::publish(const ServiceSpec& service, SourcePos at, const PortConfig& port) {
  return add({&service, at, port, /*listens=*/false});
}

bool PortClaims::listen(const ServiceSpec& service, SourcePos at, int port) {
  return add({&service, at, {.address = "", .port = port}, /*listens=*/true});
}

bool PortClaims::add(const Claim& claim) {
  if (claim.port.port == 0) return true;
  std::vector<Claim>& known = claims_[{claim.port.udp, claim.port.port}];
  for (const Claim& other : known)
    if (other.listens || claim.listens || collide(other.port, claim.port)) {
      refuse(other, claim);
      return false;
    }
  known.push_back(claim);
  return true;
}

void PortClaims::refuse(const Claim& first, const Claim& second) {
  const std::string port = fmt::format("{}{}", second.port.port, second.port.udp ? "/udp" : "");
  const std::string there = first.at.line != 0 ? fmt::format(" (line {})", first.at.line) : "";
  if (first.service == second.service)
    return texts_.problem(second.at,
                          Error(Errc::invalid_input, fmt::format("{} publishes port {} twice{}",
                                                                 second.service->name, port, there))
                              .with_hint("remove one of the two"));
  const ServiceSpec& s = *second.service;
  std::string hint = "let one listen on another port";
  if (!second.listens)
    hint = "give one another, or port = \"auto\", which is a free one";
  else if (s.kind != ServiceKind::container)
    hint = "give one another, or port = \"auto\"";
  texts_.problem(second.at, Error(Errc::invalid_input,
                                  fmt::format("port {} is wanted by two services, {}{} and {}",
                                              port, first.service->name, there, s.name))
                                .with_hint(std::move(hint)));
}

}  // namespace locald::project
