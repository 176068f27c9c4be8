#include "cnb/app.h"

#include "base/json/json_map.h"
#include "base/strings.h"
#include "oci/ref/digest.h"

namespace locald::cnb {
namespace {

std::map<std::string, std::string> map_of(const Json& json) {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : json.as_object()) out[name] = value.as_string();
  return out;
}

/// For the name of a folder: short, and of harmless letters.
std::string readable(const std::string& text) {
  std::string out;
  for (const char c : to_lower(text)) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (good)
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
    if (out.size() == 20) break;
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

}  // namespace

std::string AppSpec::key() const {
  const std::string folder = path.substr(path.rfind('/') + 1);
  std::string what = project + '\0' + path + '\0' + builder;
  std::string tail = readable(folder) + "-";
  if (!variant.empty()) {
    what += '\0' + variant;
    tail += readable(variant) + "-";
  }
  const std::string head = project.empty() || project == folder ? "" : readable(project) + "-";
  return head + tail + oci::Digest::of(what).hex().substr(0, 8);
}

Json AppSpec::to_json() const {
  Json out = Json::object({{"project", project},
                           {"path", path},
                           {"builder", builder},
                           {"run_image", run_image},
                           {"base_dir", base_dir},
                           {"pull", pull},
                           {"env", json_of(env)},
                           {"bindings", json_of(bindings)},
                           {"host_ca", host_ca ? Json(*host_ca) : Json()},
                           {"host_ca_file", host_ca_file},
                           {"proxies", json_of(proxies)},
                           {"exec_env", exec_env},
                           {"live", live},
                           {"strict", strict},
                           {"timeout_ms", timeout.count()}});
  // Only where there is one: the configurations of services that were written before know none.
  if (!variant.empty()) out.set("variant", variant);
  return out;
}

Result<AppSpec> AppSpec::from_json(const Json& json) {
  AppSpec app;
  app.project = TRY(json.get_string_or("project", ""));
  app.path = TRY(json.get_string("path"));
  app.variant = TRY(json.get_string_or("variant", ""));
  app.builder = TRY(json.get_string_or("builder", ""));
  app.run_image = TRY(json.get_string_or("run_image", ""));
  app.base_dir = TRY(json.get_string_or("base_dir", ""));
  app.pull = TRY(json.get_string_or("pull", "missing"));
  app.env = map_of(json["env"]);
  app.bindings = map_of(json["bindings"]);
  if (json["host_ca"].is_bool()) app.host_ca = json["host_ca"].as_bool();
  app.host_ca_file = TRY(json.get_string_or("host_ca_file", ""));
  app.proxies = map_of(json["proxies"]);
  app.exec_env = TRY(json.get_string_or("exec_env", ""));
  app.live = TRY(json.get_strings("live"));
  app.strict = TRY(json.get_bool_or("strict", false));
  app.timeout = std::chrono::milliseconds(TRY(json.get_int_or("timeout_ms", 3'600'000)));
  if (!app.path.starts_with('/'))
    return Error(Errc::invalid_input, "path: \"" + app.path + "\" is not absolute");
  return app;
}

}  // namespace locald::cnb
