#include "netd/connections.h"

#include <utility>

namespace locald::netd {

void Connections::open(UniqueFd client, Dialer& dialer, const net::IpAddress& address,
                       std::uint16_t port, std::string said) {
  const Place place = all_.emplace(all_.end());
  place->client = std::move(client);
  place->said = std::move(said);
  // Its end alone is told here: what it sends waits in the kernel.
  place->watch = poller_.watch(place->client.get(), 0, [this, place](std::uint32_t) {
    Forward::reset(std::move(place->client));
    erase(place);
  });
  auto dial = dialer.connect(
      address, port, [this, place](Result<UniqueFd> other) { connected(place, std::move(other)); });
  if (!dial) return connected(place, std::move(dial).error());
  place->dial = std::move(dial).value();
}

void Connections::connected(Place place, Result<UniqueFd> other) {
  place->watch.reset();
  if (!other) {
    Forward::reset(std::move(place->client));
    erase(place);
    return;
  }
  place->forward.emplace(poller_, std::move(place->client), std::move(other).value(),
                         std::move(place->said), [this, place] { erase(place); });
}

void Connections::erase(Place place) {
  all_.erase(place);
  ended_();
}

}  // namespace locald::netd
