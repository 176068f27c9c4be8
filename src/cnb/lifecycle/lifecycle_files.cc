#include "cnb/lifecycle/lifecycle_files.h"

#include <algorithm>

namespace locald::cnb {
namespace {

constexpr const char* kTargetLabel = "io.buildpacks.base.id";
constexpr const char* kNotInTypes = "/><:|&\\";
constexpr std::size_t kMaxName = 255;  // bytes of a file's name

/// A document of our own making: always a table that can be written.
std::string text_of(const Node& document) { return write_toml(document).value_or(""); }

std::string label(const oci::ImageConfig& config, const char* name) {
  const auto found = config.labels.find(name);
  return found == config.labels.end() ? "" : found->second;
}

/// The members of a table but those that are "".
Node without_empty(std::initializer_list<std::pair<const char*, std::string>> members) {
  Node table = Node::table();
  for (const auto& [name, value] : members)
    if (!value.empty()) table.set(name, value);
  return table;
}

bool has_controls(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

/// Its folder lies in /layers, beside those that are the lifecycle's.
bool is_buildpack_id(std::string_view id) {
  return !id.empty() && id != "." && id != ".." && id != "config" && id != "sbom" &&
         id.size() <= kMaxName && !has_controls(id);
}

Result<std::vector<GroupElement>> elements(const Node& document, std::string_view key) {
  std::vector<GroupElement> out;
  for (const Node* element : TRY(document.get_tables(key))) {
    out.push_back({TRY(element->get_string("id")), TRY(element->get_string_or("version", "")),
                   TRY(element->get_string_or("api", "")),
                   TRY(element->get_string_or("homepage", ""))});
    if (!is_buildpack_id(out.back().id))
      return element->error("\"" + out.back().id + "\" cannot be the id of a buildpack");
  }
  return out;
}

std::string no_process_type(const std::string& type) {
  const std::string shown = type.size() > 60 ? type.substr(0, 60) + "…" : type;
  return "\"" + shown + "\" cannot be a process type (it names a file, and may not hold any of " +
         kNotInTypes + ")";
}

Result<Process> process(const Node& table) {
  Process p;
  p.type = TRY(table.get_string("type"));
  if (table["command"].is_string())  // Platform API before 0.10
    p.command = {table["command"].as_string()};
  else
    p.command = TRY(table.get_strings("command"));
  p.has_args = table.contains("args");
  p.args = TRY(table.get_strings("args"));
  p.direct = TRY(table.get_bool_or("direct", false));
  p.buildpack_id = TRY(table.get_string_or("buildpack-id", ""));
  p.working_dir = TRY(table.get_string_or("working-dir", ""));
  p.exec_env = TRY(table.get_strings("exec-env"));
  if (!is_process_type(p.type)) return table.error(no_process_type(p.type));
  return p;
}

}  // namespace

std::string run_toml(const std::vector<RunImage>& images) {
  Node list = Node::array();
  for (const RunImage& image : images) {
    Node entry = Node::table({{"image", image.image}});
    if (!image.mirrors.empty()) entry.set("mirrors", image.mirrors);
    list.push(std::move(entry));
  }
  return text_of(Node::table({{"images", std::move(list)}}));
}

std::string analyzed_toml(const std::string& run_image, const oci::ImageConfig& config) {
  Node target = without_empty({{"id", label(config, kTargetLabel)}});
  target.set("os", config.platform.os);
  target.set("arch", config.platform.architecture);
  if (!config.platform.variant.empty()) target.set("arch-variant", config.platform.variant);
  const std::string name = label(config, kDistroName), version = label(config, kDistroVersion);
  if (!name.empty() && !version.empty())
    target.set("distro", Node::table({{"name", name}, {"version", version}}));
  return text_of(Node::table({{"run-image", Node::table({{"reference", run_image},
                                                         {"image", run_image},
                                                         {"target", std::move(target)}})}}));
}

std::string project_metadata_toml(const Json& source) {
  if (!source.is_object()) return {};
  return text_of(Node::table({{"source", Node::from_json(source)}}));
}

Result<std::vector<GroupElement>> parse_group(std::string_view text) {
  return elements(TRY(parse_toml(text, "group.toml")), "group");
}

Result<BuildMetadata> parse_build_metadata(std::string_view text) {
  const Node document = TRY(parse_toml(text, "metadata.toml"));
  BuildMetadata out;
  out.buildpacks = TRY(elements(document, "buildpacks"));
  for (const Node* table : TRY(document.get_tables("processes")))
    out.processes.push_back(TRY(process(*table)));
  out.default_process = TRY(document.get_string_or("buildpack-default-process-type", ""));
  for (const Node* table : TRY(document.get_tables("labels")))
    out.labels.emplace_back(TRY(table->get_string("key")), TRY(table->get_string("value")));
  for (const Node* table : TRY(document.get_tables("slices")))
    out.slices.push_back(TRY(table->get_strings("paths")));
  return out;
}

Result<LayerToml> parse_layer_toml(std::string_view text, const std::string& name) {
  const Node document = TRY(parse_toml(text, name));
  for (const char* flag : {"launch", "build", "cache"})
    if (document.contains(flag))
      return document[flag].error(std::string("`") + flag +
                                  "` must stand in the table [types] (Buildpack API 0.6)");
  LayerToml layer;
  if (document.contains("types")) {
    const Node& types = document["types"];
    if (!types.is_table()) return types.error("`types` must be a table");
    layer.launch = TRY(types.get_bool_or("launch", false));
    layer.build = TRY(types.get_bool_or("build", false));
    layer.cache = TRY(types.get_bool_or("cache", false));
  }
  layer.metadata = document["metadata"];
  return layer;
}

bool is_process_type(std::string_view type) noexcept {
  return !type.empty() && type != "." && type != ".." && type.size() <= kMaxName &&
         type.find_first_of(kNotInTypes) == std::string_view::npos && !has_controls(type);
}

std::string escape_id(std::string_view id) {
  std::string out(id);
  std::replace(out.begin(), out.end(), '/', '_');
  return out;
}

}  // namespace locald::cnb
