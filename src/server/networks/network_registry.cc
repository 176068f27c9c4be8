#include "server/networks/network_registry.h"

#include <utility>
#include <vector>

#include "base/json/fields.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "net/host_routes.h"
#include "server/state/state_file.h"

namespace locald::server {
namespace {

constexpr int kNetworksFormat = 1;
constexpr std::uint32_t kFirstRange = 64, kRanges = 64;  // 10.64.0.0/16 to 10.127.0.0/16

struct NetworksFile {
  std::map<std::string, NetworkRegistry::Project> projects;

  static const Fields& fields() {
    static const Fields table =
        FieldsOf<NetworksFile>("networks.json").always("projects", &NetworksFile::projects, "");
    return table;
  }
};

std::uint64_t hash(std::string_view text) {
  const std::uint64_t h = fnv1a(text);
  return h ^ (h >> 29);
}

/// Numbers for all of `names`: those that they have, and the lowest free ones.
void number(std::map<std::string, std::uint32_t>& numbers, const std::set<std::string>& names,
            std::uint32_t first) {
  std::erase_if(numbers, [&](const auto& entry) { return !names.contains(entry.first); });
  std::set<std::uint32_t> taken;
  for (const auto& [name, number] : numbers) taken.insert(number);
  std::uint32_t next = first;
  for (const std::string& name : names) {
    if (numbers.contains(name)) continue;
    while (taken.contains(next)) ++next;
    taken.insert(next);
    numbers[name] = next;
  }
}

}  // namespace

net::Subnet choose_range(const std::string& project) {
  const std::vector<net::HostRoute> routes = net::host_routes();
  net::Subnet range;
  for (std::uint32_t tries = 0; tries < kRanges; ++tries) {
    const auto second = kFirstRange + static_cast<std::uint32_t>((hash(project) + tries) % kRanges);
    range = {net::IpAddress::v4((10u << 24) | (second << 16)), 16};
    bool free = true;
    for (const net::HostRoute& route : routes) free = free && !route.to.overlaps(range);
    if (free) break;
  }
  return range;
}

net::Subnet range_v6(const std::string& project) {
  std::array<std::uint8_t, 16> bytes{0xFD};
  const std::uint64_t h = hash(project);
  for (std::size_t i = 1; i < 6; ++i) bytes[i] = static_cast<std::uint8_t>(h >> (8 * i));
  return {net::IpAddress::v6(bytes), 48};
}

const Fields& NetworkRegistry::Project::fields() {
  using P = NetworkRegistry::Project;
  static const Fields table = FieldsOf<P>("project")
                                  .always("range", &P::range, "")
                                  .always("networks", &P::networks, "name: number")
                                  .always("services", &P::services, "name: number")
                                  .field("ports", &P::ports, "what: published port");
  return table;
}

Result<NetworkRegistry> NetworkRegistry::load(std::string file, std::string& notice) {
  const Json document = TRY(load_state_file(file, kNetworksFormat, "projects", notice));
  NetworkRegistry registry(std::move(file));
  auto read = decode<NetworksFile>(document, Reading::tolerant);
  if (read)
    registry.projects_ = std::move(read->projects);
  else if (document.contains("projects"))
    set_state_file_aside(registry.file_, read.error().message(), notice);
  return registry;
}

NetworkRegistry::Project NetworkRegistry::assigned(const std::string& project,
                                                   const std::set<std::string>& networks,
                                                   const std::set<std::string>& services,
                                                   bool fresh) const {
  const auto known = projects_.find(project);
  Project p = known == projects_.end() ? Project() : known->second;
  const auto range = net::Subnet::parse(p.range);
  bool usable = range && range->length == 16 && !range->address.is_v6();
  if (usable && fresh && !for_now_.contains(project))
    for (const net::HostRoute& route : net::host_routes())
      usable = usable && !route.to.overlaps(*range);
  if (!usable) p.range = choose_range(project).text();
  number(p.networks, networks, 0);
  number(p.services, services, 1);
  return p;
}

Result<void> NetworkRegistry::set(const std::string& project, Project numbers) {
  auto changed = projects_;
  Project& p = changed[project];
  numbers.ports = p.ports;
  if (p == numbers) return {};
  p = std::move(numbers);
  if (for_now_.contains(project)) {
    projects_ = std::move(changed);
    return {};
  }
  return save(std::move(changed));
}

std::string NetworkRegistry::keep_for_now(const std::string& project, const std::string& range) {
  for_now_.insert(project);
  Project& p = projects_[project];
  p.range = range.empty() ? choose_range(project).text() : range;
  return p.range;
}

int NetworkRegistry::port(const std::string& project, const std::string& key) const {
  const auto known = projects_.find(project);
  if (known == projects_.end()) return 0;
  const auto port = known->second.ports.find(key);
  return port == known->second.ports.end() ? 0 : port->second;
}

Result<void> NetworkRegistry::set_ports(const std::string& project,
                                        const std::map<std::string, int>& ports) {
  const auto known = projects_.find(project);
  if (known == projects_.end() ? ports.empty() : known->second.ports == ports) return {};
  auto changed = projects_;
  changed[project].ports = ports;
  return save(std::move(changed));
}

Result<void> NetworkRegistry::forget(const std::string& project) {
  if (for_now_.erase(project) != 0) {
    projects_.erase(project);
    return {};
  }
  auto changed = projects_;
  if (changed.erase(project) == 0) return {};
  return save(std::move(changed));
}

std::set<int> NetworkRegistry::ports_of_others(const std::string& except) const {
  std::set<int> out;
  for (const auto& [name, project] : projects_)
    if (name != except)
      for (const auto& [key, port] : project.ports) out.insert(port);
  return out;
}

Result<void> NetworkRegistry::write_back() const {
  const NetworksFile file{lasting(projects_)};
  if (file.projects.empty() || exists(file_)) return {};
  return save_state_file(file_, kNetworksFormat, encode(file));
}

std::map<std::string, NetworkRegistry::Project> NetworkRegistry::lasting(
    std::map<std::string, Project> projects) const {
  for (const std::string& name : for_now_) projects.erase(name);
  return projects;
}

Result<void> NetworkRegistry::save(std::map<std::string, Project> projects) {
  TRY(save_state_file(file_, kNetworksFormat, encode(NetworksFile{lasting(projects)}))
          .context("remember the project's network"));
  projects_ = std::move(projects);
  return {};
}

}  // namespace locald::server
