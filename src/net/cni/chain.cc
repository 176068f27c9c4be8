#include "net/cni/chain.h"

#include <utility>

namespace locald::net {
namespace {

/// What one plugin is given.
PluginCall call_of(const CniWorld& world, const CniPlace& place, const std::string& command,
                   std::size_t number, const Json& previous) {
  Json config = place.list.plugins[number];
  config.set("cniVersion", place.list.version);
  config.set("name", place.list.name);
  Json given = Json::object();
  for (const auto& [capability, wanted] : config["capabilities"].as_object())
    if (wanted.as_bool() && place.capabilities.contains(capability))
      given.set(capability, place.capabilities[capability]);
  if (!given.as_object().empty()) config.set("runtimeConfig", std::move(given));
  if (!previous.is_null()) config.set("prevResult", previous);
  // Its own choice, /var/lib/cni, is for root alone, and outlives the sandbox.
  if (Json ipam = config["ipam"];
      ipam["type"].as_string() == "host-local" && !ipam.contains("dataDir")) {
    ipam.set("dataDir", world.folder + "/addresses");
    config.set("ipam", std::move(ipam));
  }
  return {.type = config["type"].as_string(),
          .command = command,
          .container = place.container,
          .link = place.link,
          .netns = place.netns,
          .config = std::move(config)};
}

}  // namespace

Result<Json> cni_add(const CniWorld& world, const CniPlace& place) {
  Json result;
  for (std::size_t i = 0; i < place.list.plugins.size(); ++i) {
    auto added = run_plugin(world, call_of(world, place, "ADD", i, result));
    if (added && !added->is_object())
      added = Error(Errc::failed, "CNI plugin " + place.list.plugins[i]["type"].as_string() +
                                      ", ADD: it has said nothing");
    if (!added) {
      (void)cni_delete(world, place, result);
      return added;
    }
    result = std::move(*added);
  }
  return result;
}

Result<void> cni_check(const CniWorld& world, const CniPlace& place, const Json& result) {
  if (place.list.disable_check || place.list.version == "0.3.1") return {};
  for (std::size_t i = 0; i < place.list.plugins.size(); ++i)
    (void)TRY(run_plugin(world, call_of(world, place, "CHECK", i, result)));
  return {};
}

Result<void> cni_delete(const CniWorld& world, const CniPlace& place, const Json& result) {
  Result<void> done;
  const Json previous = place.list.version == "0.3.1" ? Json() : result;
  for (std::size_t i = place.list.plugins.size(); i-- > 0;)
    if (auto deleted = run_plugin(world, call_of(world, place, "DEL", i, previous));
        !deleted && done)
      done = deleted.error();
  return done;
}

}  // namespace locald::net
