#include "net/netd_plan.h"

#include <utility>

#include "base/strings.h"

namespace locald::net {
namespace {

/// The words of one line.
class Words {
 public:
  explicit Words(std::string_view line) : line_(line), rest_(line) {}

  std::string_view line() const { return line_; }
  bool end() const { return rest_.empty(); }
  std::string_view next() {
    const auto space = rest_.find(' ');
    const std::string_view out = rest_.substr(0, space);
    rest_.remove_prefix(space == std::string_view::npos ? rest_.size() : space + 1);
    return out;
  }
  Result<std::uint64_t> number(std::uint64_t max) {
    const auto value = parse_u64(next());
    if (!value || *value > max) return invalid();
    return *value;
  }
  Result<bool> one_of(std::string_view yes, std::string_view no) {
    const std::string_view word = next();
    if (word == yes) return true;
    if (word == no) return false;
    return invalid();
  }
  Result<AddressAndPort> address_and_port() {
    const IpAddress address = TRY(IpAddress::parse(next()));
    return AddressAndPort{address, static_cast<std::uint16_t>(TRY(number(0xFFFF)))};
  }
  Result<std::vector<IpAddress>> addresses() {
    std::vector<IpAddress> out;
    while (!end()) out.push_back(TRY(IpAddress::parse(next())));
    return out;
  }
  Error invalid() const {
    return Error(Errc::invalid_input, "invalid line: " + std::string(line_));
  }

 private:
  std::string_view line_, rest_;
};

/// Calls `line` with each; its words must all be taken.
template <typename Line>
Result<void> each_line(std::string_view text, const Line& line) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    Words words(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    TRY(line(words));
    if (!words.end()) return words.invalid();
  }
  return {};
}

std::string spaced(const AddressAndPort& at) {
  return at.address.text() + " " + std::to_string(at.port);
}
std::string listed(const std::vector<IpAddress>& addresses) {
  std::string out;
  for (const IpAddress& each : addresses) out += " " + each.text();
  return out;
}

}  // namespace

std::string NetdPlan::to_text() const {
  std::string out;
  for (const Network& each : networks)
    out += "network " + std::to_string(each.number) + (each.handed ? " handed" : " kept") +
           (each.relays ? " relays" : " internal") + listed(each.addresses) + "\n";
  for (const Name& each : names)
    out += "name " + std::to_string(each.network) + " " + each.name + listed(each.addresses) + "\n";
  for (const Port& each : ports)
    out += (each.udp ? "udp " : "port ") + spaced(each.outside) +
           (each.handed ? " handed" : " kept") +
           (each.target ? " forward " + spaced(*each.target) : " reset") + "\n";
  for (const Service& each : services) {
    out += "service " + each.name + (each.handed ? " handed" : " kept");
    for (const std::uint32_t network : each.networks) out += " " + std::to_string(network);
    out += "\n";
  }
  return out;
}

Result<NetdPlan> NetdPlan::parse(std::string_view text) {
  NetdPlan out;
  TRY(each_line(text, [&](Words& words) -> Result<void> {
    const std::string_view what = words.next();
    if (what == "network") {
      Network each;
      each.number = static_cast<std::uint32_t>(TRY(words.number(0xFFFF)));
      each.handed = TRY(words.one_of("handed", "kept"));
      each.relays = TRY(words.one_of("relays", "internal"));
      each.addresses = TRY(words.addresses());
      out.networks.push_back(std::move(each));
    } else if (what == "name") {
      Name each;
      each.network = static_cast<std::uint32_t>(TRY(words.number(0xFFFF)));
      each.name = words.next();
      each.addresses = TRY(words.addresses());
      out.names.push_back(std::move(each));
    } else if (what == "port" || what == "udp") {
      Port each;
      each.udp = what == "udp";
      each.outside = TRY(words.address_and_port());
      each.handed = TRY(words.one_of("handed", "kept"));
      if (TRY(words.one_of("forward", "reset"))) each.target = TRY(words.address_and_port());
      out.ports.push_back(each);
    } else if (what == "service") {
      Service each;
      each.name = words.next();
      each.handed = TRY(words.one_of("handed", "kept"));
      while (!words.end())
        each.networks.push_back(static_cast<std::uint32_t>(TRY(words.number(0xFFFF))));
      out.services.push_back(std::move(each));
    } else {
      return words.invalid();
    }
    return {};
  }));
  return out;
}

std::string OutsidePlan::to_text() const {
  std::string out;
  for (const AddressAndPort& each : resolvers) out += "resolver " + spaced(each) + "\n";
  for (const Subnet& each : own) out += "own " + each.text() + "\n";
  for (const HostPort& each : host_ports) {
    out += "host " + spaced(each.inside) + " " + spaced(each.outside);
    for (const ino_t socket : each.sockets) out += " " + std::to_string(socket);
    out += "\n";
  }
  return out;
}

Result<OutsidePlan> OutsidePlan::parse(std::string_view text) {
  OutsidePlan out;
  TRY(each_line(text, [&](Words& words) -> Result<void> {
    const std::string_view what = words.next();
    if (what == "resolver") {
      out.resolvers.push_back(TRY(words.address_and_port()));
    } else if (what == "own") {
      out.own.push_back(TRY(Subnet::parse(words.next())));
    } else if (what == "host") {
      HostPort each;
      each.inside = TRY(words.address_and_port());
      each.outside = TRY(words.address_and_port());
      while (!words.end()) each.sockets.push_back(TRY(words.number(~std::uint64_t{0})));
      out.host_ports.push_back(std::move(each));
    } else {
      return words.invalid();
    }
    return {};
  }));
  return out;
}

}  // namespace locald::net
