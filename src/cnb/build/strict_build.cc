#include "cnb/build/strict_build.h"

#include <string>
#include <vector>

#include "base/sys/fs_at.h"
#include "builder/image_source.h"
#include "cnb/export/published_image.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "cnb/runnable.h"
#include "oci/spec/manifest.h"
#include "oci/spec/media_type.h"

namespace locald::cnb {
namespace {

// Names inside of the layout folder alone. What users see are the labels, which run.toml gives.
constexpr const char* kRunName = "locald.local/run:latest";
constexpr const char* kAppName = "locald.local/app:latest";
constexpr const char* kRunLayout = "/locald.local/run/latest";
constexpr const char* kAppFolder = "/locald.local/app/latest";

/// An image in the layout folder without its layers: `folder` -> the files of it.
Result<void> add_sparse(const oci::ImageLayout& store, const oci::StoredImage& image,
                        const std::string& folder, BuildSession::Extra& extra) {
  const std::string manifest =
      TRY(store.read_document(image.manifest_digest, oci::kMaxManifestBytes));
  extra.files[folder + "/oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})";
  // One descriptor, to the manifest itself: two, or an index, and no lifecycle finds the image.
  extra.files[folder + "/index.json"] =
      Json::object({{"schemaVersion", 2},
                    {"mediaType", std::string(oci::kOciIndex)},
                    {"manifests",
                     Json::array({Json::object({{"mediaType", image.manifest.media_type},
                                                {"digest", image.manifest_digest.str()},
                                                {"size", manifest.size()},
                                                {"platform", image.config.platform.to_json()}})})}})
          .dump();
  const std::string blobs = folder + "/blobs/sha256/";
  extra.files[blobs + image.config_digest.hex()] =
      TRY(store.read_document(image.config_digest, oci::kMaxManifestBytes));
  extra.files[blobs + image.manifest_digest.hex()] = manifest;
  return {};
}

}  // namespace

Result<Generation> strict_build(BuildSession& session, SourceIndex& source) {
  const BuildInputs& inputs = session.inputs();
  builder::Environment& environment = session.environment();
  oci::ImageStore& images = *TRY(environment.images());
  const std::string layout = "strict/layout", cache = "strict/cache";
  const std::string top = session.store().dir() + "/";

  BuildSession::Extra extra;
  extra.folders = {layout, cache};
  TRY(add_sparse(images.layout(), inputs.run, layout + kRunLayout, extra));
  extra.previous_image = layout + kAppFolder;
  extra.files["build/layers/run.toml"] = run_toml({inputs.run_names});
  if (!inputs.order_toml.empty()) extra.files["build/layers/order.toml"] = inputs.order_toml;
  if (const std::string text = project_metadata_toml(inputs.project); !text.empty())
    extra.files["build/layers/project-metadata.toml"] = text;
  const builder::VolumeMount layout_mount{
      .kind = builder::VolumeMount::Kind::own, .source = top + layout, .target = "/layout"};
  const builder::VolumeMount cache_mount{
      .kind = builder::VolumeMount::Kind::own, .source = top + cache, .target = "/cache"};
  TRY(session.begin(source, std::move(extra)));

  using Words = std::vector<std::string>;
  const auto words = [](std::initializer_list<Words> parts) {
    Words all;
    for (const Words& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  const Words log = {"-log-level", "debug"};
  const Words layers = {"-layers", "/layers"}, app = {"-app", "/workspace"};
  const Words platform = {"-platform", "/platform"}, names = {"-run", "/layers/run.toml"};
  const Words by_layout = {"-layout", "-layout-dir", "/layout"}, cached = {"-cache-dir", "/cache"};
  const Words ids = {"-uid", std::to_string(inputs.info.uid), "-gid",
                     std::to_string(inputs.info.gid)};
  TRY(session.run(Phase::analyze,
                  words({log, layers, by_layout, {"-run-image", kRunName}, names, ids, {kAppName}}),
                  {layout_mount}));
  TRY(session.run(Phase::detect, words({log, app, layers, platform, names})));
  TRY(session.run(Phase::restore, words({log, layers, cached, by_layout, ids}),
                  {layout_mount, cache_mount}));
  TRY(session.run(Phase::build, words({log, app, layers, platform})));
  std::vector<std::string> hidden = TRY(session.hidden_by_live());
  TRY(session.run(Phase::export_,
                  words({log,
                         app,
                         layers,
                         cached,
                         by_layout,
                         names,
                         {"-report", "/layers/report.toml"},
                         {"-project-metadata", "/layers/project-metadata.toml"},
                         ids,
                         {kAppName}}),
                  {layout_mount, cache_mount}));

  const auto since = std::chrono::steady_clock::now();
  session.tell("commit");
  const std::string run =
      published_reference(inputs.run_names.image, inputs.run.manifest_digest.str());
  const oci::StoredImage image =
      TRY(import_layout_image(environment, session.store(), layout + kAppFolder,
                              app_image_name(session.store().app()), run, session.context()));
  Generation g = session.new_generation();
  g.hidden = std::move(hidden);
  g.image_digest = image.manifest_digest.str();
  g.base_config = TRY(config_document(images, image));
  TRY(read_published(image.config, g));
  session.note_time("commit", since);
  return g;
}

}  // namespace locald::cnb
