#include "server/projects/wishes.h"

namespace locald::server {

void Wishes::fill_in(const Wishes& earlier, const std::map<std::string, std::string>& env) {
  if (profiles.empty() && !env.contains("COMPOSE_PROFILES")) profiles = earlier.profiles;
  if (allowed.empty()) allowed = earlier.allowed;
  if (publish_address.empty()) publish_address = earlier.publish_address;
  if (low_ports.empty()) low_ports = earlier.low_ports;
}

bool Wishes::any() const {
  return !profiles.empty() || !allowed.empty() || !publish_address.empty() || !low_ports.empty();
}

const Fields& Wishes::fields() {
  static const Fields table = FieldsOf<Wishes>("wishes")
                                  .field("profiles", &Wishes::profiles, "")
                                  .field("allowed", &Wishes::allowed, "")
                                  .field("publish_address", &Wishes::publish_address, "")
                                  .field("low_ports", &Wishes::low_ports, "");
  return table;
}

Wishes wishes_of(const ipc::ComposeWishes& compose) {
  return {.profiles = compose.profiles,
          .allowed = compose.allow_unsupported,
          .publish_address = compose.publish_address,
          .low_ports = {}};
}

Wishes wishes_of(const ipc::UpRequest& request) {
  Wishes out = wishes_of(request.compose);
  out.low_ports = request.low_ports.value_or("");
  return out;
}

}  // namespace locald::server
