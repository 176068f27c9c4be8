#include "cnb/store/generation.h"

#include <algorithm>

#include "base/strings.h"

namespace locald::cnb {
namespace {

Json pairs_to_json(const std::vector<std::pair<std::string, std::string>>& pairs) {
  Json::Array out;
  for (const auto& [key, value] : pairs) out.push_back(Json::array({key, value}));
  return Json(std::move(out));
}

Json times_to_json(const std::vector<std::pair<std::string, std::int64_t>>& times) {
  Json::Array out;
  for (const auto& [name, ms] : times) out.push_back(Json::object({{"name", name}, {"ms", ms}}));
  return Json(std::move(out));
}

std::vector<std::pair<std::string, std::int64_t>> times_from_json(const Json& json) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  for (const Json& item : json.as_array())
    out.emplace_back(item["name"].as_string(), item["ms"].as_int());
  return out;
}

Json process_to_json(const Process& p) {
  return Json::object({{"type", p.type},
                       {"command", p.command},
                       {"args", p.has_args ? Json(p.args) : Json()},
                       {"direct", p.direct},
                       {"buildpack_id", p.buildpack_id},
                       {"working_dir", p.working_dir},
                       {"exec_env", p.exec_env}});
}

Process process_from_json(const Json& json) {
  Process p;
  p.type = json["type"].as_string();
  p.command = json["command"].as_strings();
  p.args = json["args"].as_strings();
  p.has_args = json["args"].is_array();
  p.direct = json["direct"].as_bool();
  p.buildpack_id = json["buildpack_id"].as_string();
  p.working_dir = json["working_dir"].as_string();
  p.exec_env = json["exec_env"].as_strings();
  return p;
}

Json buildpack_to_json(const GenerationBuildpack& b) {
  Json::Array layers;
  for (const GenerationLayer& l : b.layers)
    layers.push_back(Json::object({{"name", l.name},
                                   {"launch", l.launch},
                                   {"build", l.build},
                                   {"cache", l.cache},
                                   {"data", l.data},
                                   {"tree", l.tree}}));
  return Json::object({{"id", b.id},
                       {"version", b.version},
                       {"api", b.api},
                       {"homepage", b.homepage},
                       {"layers", Json(std::move(layers))},
                       {"store", b.store},
                       {"has_store", b.has_store}});
}

GenerationBuildpack buildpack_from_json(const Json& json) {
  GenerationBuildpack b;
  b.id = json["id"].as_string();
  b.version = json["version"].as_string();
  b.api = json["api"].as_string();
  b.homepage = json["homepage"].as_string();
  b.store = json["store"];
  b.has_store = json["has_store"].as_bool();
  for (const Json& l : json["layers"].as_array())
    b.layers.push_back({.name = l["name"].as_string(),
                        .launch = l["launch"].as_bool(),
                        .build = l["build"].as_bool(),
                        .cache = l["cache"].as_bool(),
                        .data = l["data"],
                        .tree = l["tree"].as_string()});
  return b;
}

}  // namespace

Json BuildTimes::to_json() const {
  return Json::object({{"phases", times_to_json(phases)},
                       {"buildpacks", times_to_json(buildpacks)},
                       {"total_ms", total}});
}

BuildTimes BuildTimes::from_json(const Json& json) {
  return {times_from_json(json["phases"]), times_from_json(json["buildpacks"]),
          json["total_ms"].as_int()};
}

const Process* Generation::find_process(const std::string& type) const {
  const auto found = std::find_if(processes.begin(), processes.end(),
                                  [&](const Process& p) { return p.type == type; });
  return found == processes.end() ? nullptr : &*found;
}

Result<std::string> Generation::choose_process(const std::string& asked_for) const {
  const std::string& type = asked_for.empty() ? default_process : asked_for;
  if (!type.empty() && find_process(type) != nullptr) return type;
  std::vector<std::string> types;
  for (const Process& process : processes) types.push_back(process.type);
  Error error(Errc::not_found, asked_for.empty()
                                   ? "the app has no default process type"
                                   : "the app has no process type \"" + asked_for + "\"");
  if (types.empty())
    return std::move(error).with_hint(
        "the app defines no process types; add a Procfile if the builder supports it");
  return std::move(error).with_hint("set `process` to one of: " + join(types, ", "));
}

Json Generation::to_json() const {
  Json::Array group, types, cut;
  for (const GenerationBuildpack& b : buildpacks) group.push_back(buildpack_to_json(b));
  for (const Process& p : processes) types.push_back(process_to_json(p));
  for (const auto& patterns : slices) cut.push_back(patterns);
  return Json::object({{"format", kFormat},
                       {"number", number},
                       {"fingerprint", fingerprint},
                       {"parts", pairs_to_json({parts.begin(), parts.end()})},
                       {"built_at", built_at},
                       {"map_id", map_id},
                       {"boot_id", boot_id},
                       {"builder", builder},
                       {"builder_digest", builder_digest},
                       {"run_image", run_image},
                       {"run_image_digest", run_image_digest},
                       {"run_mirrors", run_mirrors},
                       {"platform_api", platform_api},
                       {"lifecycle_version", lifecycle_version},
                       {"uid", uid},
                       {"gid", gid},
                       {"base_config", base_config},
                       {"image_digest", image_digest},
                       {"root", root},
                       {"buildpacks", Json(std::move(group))},
                       {"processes", Json(std::move(types))},
                       {"default_process", default_process},
                       {"labels", pairs_to_json(labels)},
                       {"slices", Json(std::move(cut))},
                       {"exec_env", exec_env},
                       {"launch_sbom", launch_sbom},
                       {"cache_sbom", cache_sbom},
                       {"hidden", hidden},
                       {"project", project},
                       {"times", times.to_json()}});
}

Result<Generation> Generation::from_json(const Json& json) {
  if (TRY(json.get_int("format")) != kFormat)
    return Error(Errc::unsupported, "a generation of another version of locald");
  Generation g;
  g.number = static_cast<std::uint64_t>(TRY(json.get_int("number")));
  g.fingerprint = TRY(json.get_string("fingerprint"));
  for (const Json& pair : json["parts"].as_array())
    if (const auto& items = pair.as_array(); items.size() == 2)
      g.parts.emplace(items[0].as_string(), items[1].as_string());
  g.built_at = TRY(json.get_string("built_at"));
  g.map_id = TRY(json.get_string("map_id"));
  g.boot_id = TRY(json.get_string("boot_id"));
  g.builder = TRY(json.get_string("builder"));
  g.builder_digest = TRY(json.get_string("builder_digest"));
  g.run_image = TRY(json.get_string("run_image"));
  g.run_image_digest = TRY(json.get_string("run_image_digest"));
  g.run_mirrors = json["run_mirrors"].as_strings();
  g.platform_api = TRY(json.get_string("platform_api"));
  g.lifecycle_version = TRY(json.get_string("lifecycle_version"));
  g.uid = static_cast<std::uint32_t>(TRY(json.get_int("uid")));
  g.gid = static_cast<std::uint32_t>(TRY(json.get_int("gid")));
  g.base_config = json["base_config"];
  g.root = static_cast<std::uint64_t>(TRY(json.get_int("root")));
  g.image_digest = TRY(json.get_string("image_digest"));
  for (const char* list : {"buildpacks", "processes"})
    if (!json[list].is_array()) return Error(Errc::corrupt, std::string("no ") + list);
  for (const Json& b : json["buildpacks"].as_array())
    g.buildpacks.push_back(buildpack_from_json(b));
  for (const Json& p : json["processes"].as_array()) g.processes.push_back(process_from_json(p));
  for (const GenerationBuildpack& b : g.buildpacks)
    for (const GenerationLayer& layer : b.layers)
      if (layer.tree.find_first_of("/.") != std::string::npos)  // a name of a folder in t/
        return Error(Errc::corrupt, "\"" + layer.tree + "\" names no tree");
  g.default_process = TRY(json.get_string("default_process"));
  for (const Json& pair : json["labels"].as_array())
    if (const auto& items = pair.as_array(); items.size() == 2)
      g.labels.emplace_back(items[0].as_string(), items[1].as_string());
  for (const Json& patterns : json["slices"].as_array()) g.slices.push_back(patterns.as_strings());
  g.exec_env = TRY(json.get_string("exec_env"));
  g.launch_sbom = TRY(json.get_bool("launch_sbom"));
  g.cache_sbom = TRY(json.get_bool("cache_sbom"));
  g.hidden = json["hidden"].as_strings();
  g.project = json["project"];
  g.times = BuildTimes::from_json(json["times"]);
  return g;
}

namespace {
constexpr std::string_view kStampKind = "cnb:";
}

std::string GenerationStamp::str() const {
  return std::string(kStampKind) + app + ":" + std::to_string(number) + "@" + built_at;
}

std::optional<GenerationStamp> GenerationStamp::parse(std::string_view text) {
  if (!text.starts_with(kStampKind)) return std::nullopt;
  text.remove_prefix(kStampKind.size());
  const std::size_t colon = text.find(':'), at = text.find('@');
  if (at == std::string_view::npos || colon > at) return std::nullopt;
  const auto number = parse_u64(text.substr(colon + 1, at - colon - 1));
  if (!number) return std::nullopt;
  return GenerationStamp{std::string(text.substr(0, colon)), *number,
                         std::string(text.substr(at + 1))};
}

}  // namespace locald::cnb
