#include "runtime/container_init.h"

#include <algorithm>
#include <limits>

#include "base/strings.h"
#include "shim/protocol.h"

namespace locald::runtime {

const char* const kContainerInitPath = shim::kInitPath;

std::vector<std::string> ContainerInit::words() const {
  std::vector<std::string> words = {kContainerInitPath};
  if (map)
    words.insert(words.end(),
                 {shim::kInitMap, std::to_string(map->uid) + ":" + std::to_string(map->gid)});
  if (seal) words.emplace_back(shim::kInitSeal);
  if (exec) words.emplace_back(shim::kInitExec);
  words.insert(words.end(), {shim::kInitReport, "--"});
  return words;
}

std::optional<ContainerInit> ContainerInit::of(const oci::RuntimeSpec& config) {
  const bool mounted =
      std::any_of(config.mounts.begin(), config.mounts.end(),
                  [](const auto& mount) { return mount.destination == kContainerInitPath; });
  if (!mounted || !config.process || config.process->args.empty() ||
      config.process->args[0] != kContainerInitPath)
    return std::nullopt;
  const std::vector<std::string>& args = config.process->args;
  ContainerInit init;
  for (std::size_t i = 1; i < args.size() && args[i] != "--"; ++i) {
    if (args[i] == shim::kInitSeal) init.seal = true;
    if (args[i] == shim::kInitExec) init.exec = true;
    if (args[i] != shim::kInitMap || ++i == args.size()) continue;
    const std::vector<std::string> ids = split(args[i], ':');
    if (ids.size() != 2) continue;
    const auto uid = parse_u64(ids[0]), gid = parse_u64(ids[1]);
    constexpr std::uint64_t kNoId = std::numeric_limits<std::uint32_t>::max();
    if (uid && gid && *uid < kNoId && *gid < kNoId)
      init.map = Ids{static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid)};
  }
  return init;
}

}  // namespace locald::runtime
