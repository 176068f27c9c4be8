#include "oci/spec/image_config.h"

#include <algorithm>

#include "base/json/json_map.h"
#include "oci/spec/manifest.h"

namespace locald::oci {
namespace {

/// No string of an image may hold a NUL: it becomes an argument, a path, a variable.
Result<void> refuse_nul(const Json& value) {
  if (value.as_string().find('\0') != std::string::npos)
    return Error(Errc::invalid_input, "a NUL byte in a string");
  for (const Json& item : value.as_array()) TRY(refuse_nul(item));
  for (const auto& [key, member] : value.as_object()) {
    if (key.find('\0') != std::string::npos)
      return Error(Errc::invalid_input, "a NUL byte in a name");
    TRY(refuse_nul(member));
  }
  return {};
}

/// The names of an object that serves as a set ("Volumes": {"/data": {}}).
Result<std::vector<std::string>> read_set(const Json& owner, const char* key) {
  const Json& set = owner[key];
  if (!set.is_null() && !set.is_object())
    return Error(Errc::invalid_input, "\"" + std::string(key) + "\" is not an object");
  std::vector<std::string> names;
  for (const auto& [name, value] : set.as_object()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

/// Old builders wrote a plain string where a list belongs; Docker reads both.
Result<std::vector<std::string>> read_words(const Json& owner, const char* key) {
  if (owner[key].is_string()) return std::vector<std::string>{owner[key].as_string()};
  return owner.get_strings(key);
}

/// One that is not of the specification's form is none: images run without it.
Result<ImageHealth> read_health(const Json& health) {
  ImageHealth out;
  if (!health.is_object()) return out;
  out.test = TRY(read_words(health, "Test"));
  out.interval = TRY(health.get_int_or("Interval", 0));
  out.timeout = TRY(health.get_int_or("Timeout", 0));
  out.start_period = TRY(health.get_int_or("StartPeriod", 0));
  out.retries = TRY(health.get_int_or("Retries", 0));
  return out;
}

Json write_set(const std::vector<std::string>& names) {
  Json::Object out;
  for (const std::string& name : names) out.emplace_back(name, Json::object());
  return Json(std::move(out));
}

}  // namespace

Result<ImageConfig> ImageConfig::parse(std::string_view bytes) {
  const Json document = TRY(parse_image_json(bytes).context("image config"));
  if (!document.is_object()) return Error(Errc::invalid_input, "image config: not a JSON object");
  TRY(refuse_nul(document).context("image config"));
  auto read = [&]() -> Result<ImageConfig> {
    ImageConfig out;
    out.platform = TRY(Platform::from_json(document));
    out.created = TRY(document.get_string_or("created", ""));
    out.author = TRY(document.get_string_or("author", ""));
    const Json& config = document["config"];
    if (!config.is_null() && !config.is_object())
      return Error(Errc::invalid_input, "\"config\" is not an object");
    out.entrypoint = TRY(read_words(config, "Entrypoint"));
    out.cmd = TRY(read_words(config, "Cmd"));
    out.env = TRY(config.get_strings("Env"));
    out.user = TRY(config.get_string_or("User", ""));
    out.working_dir = TRY(config.get_string_or("WorkingDir", ""));
    out.stop_signal = TRY(config.get_string_or("StopSignal", ""));
    out.volumes = TRY(read_set(config, "Volumes"));
    out.exposed_ports = TRY(read_set(config, "ExposedPorts"));
    out.health = read_health(config["Healthcheck"]).value_or(ImageHealth());
    const Json& labels = config["Labels"];
    if (!labels.is_null() && !labels.is_object())
      return Error(Errc::invalid_input, "\"Labels\" is not an object");
    for (const auto& [key, value] : labels.as_object()) {
      if (!value.is_string())
        return Error(Errc::invalid_input, "the label \"" + key + "\" is not a string");
      out.labels[key] = value.as_string();
    }
    const Json& rootfs = document["rootfs"];
    if (!rootfs.is_object())
      return Error(Errc::invalid_input, "\"rootfs\" is missing or not an object");
    if (const std::string type = TRY(rootfs.get_string_or("type", "layers")); type != "layers")
      return Error(Errc::unsupported, "a root file system of type \"" + type + "\"");
    for (const std::string& id : TRY(rootfs.get_strings("diff_ids")))
      out.diff_ids.push_back(TRY(Digest::parse(id)));
    if (out.diff_ids.size() > kMaxLayers)
      return Error(Errc::invalid_input, std::to_string(out.diff_ids.size()) + " layers");
    const Json& history = document["history"];
    if (!history.is_null() && !history.is_array())
      return Error(Errc::invalid_input, "\"history\" is not a list");
    for (const Json& entry : history.as_array())
      out.history.push_back(
          {TRY(entry.get_string_or("created", "")), TRY(entry.get_string_or("created_by", "")),
           TRY(entry.get_string_or("comment", "")), TRY(entry.get_bool_or("empty_layer", false))});
    return out;
  };
  return read().context("image config");
}

Json ImageConfig::to_json() const {
  Json config = Json::object();
  auto put = [&config](const char* key, const auto& value) {
    if (!value.empty()) config.set(key, value);
  };
  put("User", user);
  if (!exposed_ports.empty()) config.set("ExposedPorts", write_set(exposed_ports));
  put("Env", env);
  put("Entrypoint", entrypoint);
  put("Cmd", cmd);
  if (!volumes.empty()) config.set("Volumes", write_set(volumes));
  put("WorkingDir", working_dir);
  if (!labels.empty()) config.set("Labels", json_of(labels));
  put("StopSignal", stop_signal);

  Json out = platform.to_json();
  if (!created.empty()) out.set("created", created);
  if (!author.empty()) out.set("author", author);
  out.set("config", std::move(config));
  Json ids = Json::array();
  for (const Digest& id : diff_ids) ids.push(id.str());
  out.set("rootfs", Json::object({{"type", "layers"}, {"diff_ids", std::move(ids)}}));
  if (!history.empty()) {
    Json list = Json::array();
    for (const HistoryEntry& entry : history) {
      Json item = Json::object();
      if (!entry.created.empty()) item.set("created", entry.created);
      if (!entry.created_by.empty()) item.set("created_by", entry.created_by);
      if (!entry.comment.empty()) item.set("comment", entry.comment);
      if (entry.empty_layer) item.set("empty_layer", true);
      list.push(std::move(item));
    }
    out.set("history", std::move(list));
  }
  return out;
}

}  // namespace locald::oci
