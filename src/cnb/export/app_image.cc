#include "cnb/export/app_image.h"

#include <utility>

#include "cnb/app.h"
#include "cnb/export/published_image.h"
#include "cnb/inputs/builder_info.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "oci/spec/go_json.h"

namespace locald::cnb {
namespace {

using oci::GoObject;

constexpr ApiVersion kExecEnvApi{0, 15};  // the label io.buildpacks.exec-env came with it

std::string list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? "," : "") + item;
  return out + "]";
}

std::string sha_object(const std::string& diff_id) {
  return std::move(GoObject().text("sha", diff_id)).str();
}

std::string run_image_members(GoObject object, const Generation& g) {
  object.text_unless_empty("image", g.run_image)
      .raw_unless_empty("mirrors", oci::go_strings_or_nothing(g.run_mirrors));
  return std::move(object).str();
}

std::string layer_object(const GenerationLayer& layer, const std::string& diff_id) {
  return std::move(GoObject()
                       .text("sha", diff_id)
                       .value("data", layer.data)
                       .flag("build", layer.build)
                       .flag("launch", layer.launch)
                       .flag("cache", layer.cache))
      .str();
}

std::string process_object(const Process& p) {
  return std::move(GoObject()
                       .text("type", p.type)
                       .value("command", Json(p.command))
                       .value("args", p.has_args ? Json(p.args) : Json())
                       .flag("direct", p.direct)
                       .text("buildpackID", p.buildpack_id)
                       .text_unless_empty("working-dir", p.working_dir)
                       .raw_unless_empty("exec-env", oci::go_strings_or_nothing(p.exec_env)))
      .str();
}

}  // namespace

std::vector<AppLayer> app_layers(const Generation& g) {
  using Kind = AppLayer::Kind;
  // The ids that are written are part of what a layer is.
  const std::string ids = "@" + std::to_string(g.uid) + ":" + std::to_string(g.gid);
  const std::string root = "g/" + std::to_string(g.root) + "/";
  std::vector<AppLayer> out;
  for (const GenerationBuildpack& b : g.buildpacks)
    for (const GenerationLayer& layer : b.layers)
      if (layer.launch)
        out.push_back({.kind = Kind::buildpack,
                       .key = "t/" + layer.tree + ids,
                       .created_by = "Layer: '" + layer.name + "', Created by buildpack: " + b.id +
                                     "@" + b.version,
                       .tree = layer.tree,
                       .buildpack = escape_id(b.id),
                       .name = layer.name});
  if (g.launch_sbom)
    out.push_back({.kind = Kind::sbom,
                   .key = root + "sbom" + ids,
                   .created_by = "Software Bill-of-Materials"});
  for (std::size_t i = 0; i <= g.slices.size(); ++i)
    out.push_back({.kind = Kind::app,
                   .key = root + "app/" + std::to_string(i) + ids,
                   .created_by = g.slices.empty() ? "Application Layer"
                                                  : "Application Slice: " + std::to_string(i + 1),
                   .slice = i});
  out.push_back({.kind = Kind::launcher,
                 .key = "launcher/" + g.builder_digest,
                 .created_by = "Buildpacks Application Launcher"});
  out.push_back({.kind = Kind::config,
                 .key = root + "config" + ids,
                 .created_by = "Buildpacks Launcher Config"});
  if (!g.processes.empty())
    out.push_back({.kind = Kind::process_types,
                   .key = root + "process-types",
                   .created_by = "Buildpacks Process Types"});
  return out;
}

std::string lifecycle_label(const Generation& g, const std::vector<std::string>& diff_ids,
                            const std::string& top_layer, const std::string& reference) {
  using Kind = AppLayer::Kind;
  const std::vector<AppLayer> layers = app_layers(g);
  const auto id_of = [&](Kind kind) {
    for (std::size_t i = 0; i < layers.size(); ++i)
      if (layers[i].kind == kind) return diff_ids[i];
    return std::string();
  };
  std::vector<std::string> app, buildpacks;
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (layers[i].kind == Kind::app) app.push_back(sha_object(diff_ids[i]));
  std::size_t next = 0;  // buildpacks' layers come first
  for (const GenerationBuildpack& b : g.buildpacks) {
    GoObject own;
    for (const GenerationLayer& layer : b.layers)
      if (layer.launch) own.raw(layer.name, layer_object(layer, diff_ids[next++]));
    GoObject object;
    object.text("key", b.id).text("version", b.version).raw("layers", std::move(own).str());
    if (b.has_store) object.raw("store", std::move(GoObject().value("metadata", b.store)).str());
    buildpacks.push_back(std::move(object).str());
  }
  GoObject run_image;
  run_image.text("topLayer", top_layer).text("reference", reference);
  GoObject out;
  out.raw("app", list(app));
  if (g.launch_sbom) out.raw("sbom", sha_object(id_of(Kind::sbom)));
  out.raw("buildpacks", list(buildpacks))
      .raw("config", sha_object(id_of(Kind::config)))
      .raw("launcher", sha_object(id_of(Kind::launcher)))
      .raw("process-types", sha_object(id_of(Kind::process_types)))
      .raw("runImage", run_image_members(std::move(run_image), g))
      .raw("stack", std::move(GoObject().raw("runImage", run_image_members({}, g))).str());
  return std::move(out).str();
}

std::string build_label(const Generation& g, const LauncherFacts& launcher) {
  std::vector<std::string> buildpacks, processes;
  for (const GenerationBuildpack& b : g.buildpacks)
    buildpacks.push_back(std::move(GoObject()
                                       .text("id", b.id)
                                       .text("version", b.version)
                                       .text_unless_empty("homepage", b.homepage))
                             .str());
  for (const Process& p : g.processes) processes.push_back(process_object(p));
  const std::string git =
      std::move(GoObject().text("repository", launcher.repository).text("commit", launcher.commit))
          .str();
  GoObject facts;
  facts.text("version", launcher.version)
      .raw("source", std::move(GoObject().raw("git", git)).str());
  GoObject out;
  out.raw("buildpacks", list(buildpacks))
      .raw("launcher", std::move(facts).str())
      .raw("processes", list(processes))
      .text_unless_empty("buildpack-default-process-type", g.default_process);
  return std::move(out).str();
}

std::string project_label(const Json& source) {
  if (!source.is_object()) return "{}";
  const auto table = [&](const char* name) {
    return source[name].as_object().empty() ? std::string() : oci::go_json(source[name]);
  };
  GoObject inner;
  inner.text_unless_empty("type", source["type"].as_string())
      .raw_unless_empty("version", table("version"))
      .raw_unless_empty("metadata", table("metadata"));
  return std::move(GoObject().raw("source", std::move(inner).str())).str();
}

void set_launch(oci::ConfigFile& config, const Generation& g) {
  config.set_variable("CNB_LAYERS_DIR", "/layers");
  config.set_variable("CNB_APP_DIR", "/workspace");
  config.set_variable("CNB_PLATFORM_API", g.platform_api);
  config.set_variable("CNB_DEPRECATION_MODE", "quiet");
  config.set_variable("PATH", "/cnb/process:/cnb/lifecycle:" + config.variable("PATH"));
  config.working_dir = "/workspace";
  config.entrypoint = {g.default_process.empty() ? "/cnb/lifecycle/launcher"
                                                 : "/cnb/process/" + g.default_process};
  config.cmd.clear();
}

Result<std::string> app_config_document(const Generation& g,
                                        const std::vector<std::string>& diff_ids,
                                        const LauncherFacts& launcher) {
  oci::ConfigFile config =
      TRY(oci::ConfigFile::parse(g.base_config).context("the run image " + g.run_image));
  if (config.diff_ids.empty())
    return Error(Errc::invalid_input, "the run image " + g.run_image + " has no layers");
  const std::string top_layer = config.diff_ids.back();
  const std::vector<AppLayer> layers = app_layers(g);
  for (std::size_t i = 0; i < layers.size(); ++i)
    config.add_layer(diff_ids[i], layers[i].created_by);
  config.labels[kLifecycleLabel] =
      lifecycle_label(g, diff_ids, top_layer, published_reference(g.run_image, g.run_image_digest));
  config.labels[kBuildLabel] = build_label(g, launcher);
  config.labels[kProjectLabel] = project_label(g.project);
  for (const auto& [key, value] : g.labels) config.labels[key] = value;
  const auto api = ApiVersion::parse(g.platform_api);
  if (api && *api >= kExecEnvApi)
    config.labels["io.buildpacks.exec-env"] = g.exec_env.empty() ? kDefaultExecEnv : g.exec_env;
  set_launch(config, g);
  return config.write(kNormalCreated);
}

}  // namespace locald::cnb
