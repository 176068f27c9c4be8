#include "oci/spec/manifest.h"

#include <algorithm>

#include "base/json/json_map.h"
#include "base/strings.h"
#include "oci/spec/media_type.h"

namespace locald::oci {
namespace {

constexpr int kMaxDepth = 64;

/// Members whose keys are a stranger's words, where two that differ in case are two.
bool is_free_form(const std::string& key) {
  return key == "annotations" || key == "Labels" || key == "Volumes" || key == "ExposedPorts";
}

Result<void> refuse_doubles(const Json& value, bool free_form) {
  if (value.is_array())
    for (const Json& item : value.as_array()) TRY(refuse_doubles(item, false));
  if (!value.is_object()) return {};
  std::vector<std::string> names;
  for (const auto& [name, member] : value.as_object()) {
    names.push_back(free_form ? name : to_lower(name));
    TRY(refuse_doubles(member, is_free_form(name)));
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    return Error(Errc::invalid_input, "the member \"" + *twice + "\" is there twice");
  return {};
}

Result<void> read_annotations(const Json& document, std::map<std::string, std::string>& out) {
  const Json& annotations = document["annotations"];
  if (!annotations.is_null() && !annotations.is_object())
    return Error(Errc::invalid_input, "\"annotations\" is not an object");
  for (const auto& [key, value] : annotations.as_object()) {
    if (!value.is_string())
      return Error(Errc::invalid_input, "the annotation \"" + key + "\" is not a string");
    out[key] = value.as_string();
  }
  return {};
}

Result<ManifestDocument> read_manifest(const Json& document, std::string media_type) {
  if (!document["config"].is_object())
    return Error(Errc::invalid_input, "\"config\" is missing or not an object");
  if (!document["layers"].is_array())
    return Error(Errc::invalid_input, "\"layers\" is missing or not a list");
  Descriptor config = TRY(Descriptor::from_json(document["config"]).context("config"));
  ImageManifest out{std::move(media_type), std::move(config), {}, {}};
  TRY(read_annotations(document, out.annotations));
  const std::string& config_type = out.config.media_type;
  if (!config_type.empty() && !is_config_type(config_type))
    return Error(Errc::unsupported,
                 "this is not a container image: its config is of type " + config_type);
  if (out.config.size_bytes > kMaxManifestBytes)
    return Error(Errc::invalid_input, "the config has " + human_bytes(out.config.size_bytes) +
                                          "; at most 4 MiB are read");
  const auto& layers = document["layers"].as_array();
  if (layers.size() > kMaxLayers)
    return Error(Errc::invalid_input, std::to_string(layers.size()) + " layers; at most " +
                                          std::to_string(kMaxLayers) + " are taken");
  for (const Json& layer : layers) {
    const std::string where = "layer " + std::to_string(out.layers.size() + 1);
    out.layers.push_back(TRY(Descriptor::from_json(layer).context(where)));
    if (!is_layer_type(out.layers.back().media_type))
      return Error(Errc::unsupported, where + ": type \"" + out.layers.back().media_type +
                                          "\" is not supported (tar, tar+gzip and tar+zstd are)");
  }
  return ManifestDocument(std::move(out));
}

Result<ManifestDocument> read_index(const Json& document, std::string media_type) {
  if (!document["manifests"].is_array())
    return Error(Errc::invalid_input, "\"manifests\" is missing or not a list");
  const auto& manifests = document["manifests"].as_array();
  if (manifests.size() > kMaxIndexEntries)
    return Error(Errc::invalid_input, std::to_string(manifests.size()) + " entries; at most " +
                                          std::to_string(kMaxIndexEntries) + " are read");
  ImageIndex out{std::move(media_type), {}};
  for (const Json& entry : manifests)
    out.manifests.push_back(TRY(
        Descriptor::from_json(entry).context("entry " + std::to_string(out.manifests.size() + 1))));
  return ManifestDocument(std::move(out));
}

}  // namespace

Result<Json> parse_image_json(std::string_view bytes) {
  Json document = TRY(Json::parse(
      bytes, {.max_bytes = kMaxManifestBytes, .max_depth = kMaxDepth, .reject_duplicates = false}));
  TRY(refuse_doubles(document, false));
  return document;
}

Result<ManifestDocument> parse_manifest(std::string_view bytes, std::string_view content_type) {
  const Json document = TRY(parse_image_json(bytes));
  if (!document.is_object()) return Error(Errc::invalid_input, "not a manifest: no JSON object");
  const std::string said(trim(content_type.substr(0, content_type.find(';'))));
  std::string type = TRY(document.get_string_or("mediaType", ""));
  const std::int64_t version = TRY(document.get_int_or("schemaVersion", 2));
  if (version == 1 || document.contains("fsLayers") ||
      said == "application/vnd.docker.distribution.manifest.v1+prettyjws")
    return Error(Errc::unsupported, "a manifest of Docker's old schema 1")
        .with_hint("push the image again with a present-day tool");
  if (version != 2)
    return Error(Errc::unsupported,
                 "schemaVersion " + std::to_string(version) + " is not supported");

  // Only words that we know can contradict: registries send text/plain and application/json as
  // well.
  const bool said_known = is_manifest_type(said) || is_index_type(said);
  if (said_known && !type.empty() && said != type)
    return Error(Errc::invalid_input,
                 "the document calls itself " + type + ", but was announced as " + said);
  if (type.empty() && said_known) type = said;

  const bool like_manifest = document.contains("layers") || document.contains("config");
  const bool like_index = document.contains("manifests");
  if (like_manifest && like_index)
    return Error(Errc::invalid_input,
                 "the document is both a manifest and an index; refused (CVE-2021-41190)");
  if (type.empty()) type = std::string(like_index ? kOciIndex : kOciManifest);
  if (is_index_type(type)) return read_index(document, std::move(type));
  if (is_manifest_type(type)) return read_manifest(document, std::move(type));
  return Error(Errc::unsupported, "this is not a container image: " + type);
}

Json ImageManifest::to_json() const {
  Json out =
      Json::object({{"schemaVersion", 2}, {"mediaType", media_type}, {"config", config.to_json()}});
  Json list = Json::array();
  for (const Descriptor& layer : layers) list.push(layer.to_json());
  out.set("layers", std::move(list));
  if (!annotations.empty()) out.set("annotations", json_of(annotations));
  return out;
}

}  // namespace locald::oci
