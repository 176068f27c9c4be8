#include "cnb/export/export.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/sys/fs_at.h"
#include "cnb/export/app_image.h"
#include "cnb/export/export_job.h"
#include "cnb/export/launcher_facts.h"
#include "cnb/export/published_image.h"
#include "cnb/jobs.h"
#include "cnb/store/app_lock.h"

namespace locald::cnb {
namespace {

constexpr int kLayersFormat = 1;

PackedLayers read_packed(const AppStore& store) {
  const auto text = read_file(store.packed());
  const auto json = text ? Json::parse(*text) : Result<Json>(Json());
  if (!json || (*json)["format"].as_int() != kLayersFormat) return {};
  return packed_layers_from_json((*json)["layers"]);
}

/// Keeps what is known of layers that are still there.
Result<void> write_packed(const AppStore& store, PackedLayers layers) {
  std::erase_if(layers, [&](const auto& item) {
    const std::string folder = item.first.substr(0, item.first.find_first_of("/@", 2));
    return !item.first.starts_with("launcher/") && !exists(store.dir() + "/" + folder);
  });
  return write_file_atomic(
      store.packed(),
      Json::object({{"format", kLayersFormat}, {"layers", to_json(layers)}}).dump());
}

class Exporting {
 public:
  Exporting(builder::Environment& environment, const AppStore& store, const Generation& generation,
            const builder::PrepareContext& context, std::vector<std::string>* notices)
      : environment_(environment),
        store_(store),
        generation_(generation),
        context_(context),
        notices_(notices) {}

  /// The manifest of the image, which is in the store without a name.
  Result<oci::Digest> run() {
    images_ = TRY(environment_.images());
    const oci::StoredImage run_image =
        TRY(find(generation_.run_image_digest, generation_.run_image));
    const LauncherFacts launcher = TRY(launcher_of_builder());
    const PackedLayers packed = TRY(pack());
    std::vector<std::string> diff_ids;
    std::vector<oci::Descriptor> layers = run_image.manifest.layers;
    for (const AppLayer& layer : app_layers(generation_)) {
      const auto found = packed.find(layer.key);
      if (found == packed.end())
        return Error(Errc::failed, "the layer " + layer.created_by + " was not packed");
      diff_ids.push_back(found->second.diff_id.str());
      layers.push_back(found->second.blob);
    }
    const std::string config = TRY(app_config_document(generation_, diff_ids, launcher));
    return TRY(images_->layout().add_image(config, std::move(layers))).digest;
  }

 private:
  Result<oci::StoredImage> find(const std::string& digest, const std::string& name) const {
    auto image = images_->find(digest);
    if (image || image.error().code() != Errc::not_found) return image;
    return Error(Errc::not_found, "the image " + name + " (" + digest +
                                      "), on which the app stands, "
                                      "is no longer in the store")
        .with_hint("locald image pull " + name + "; if it is another one today: locald build");
  }

  /// An unknown lifecycle is not a reason to give up an image: its id is another one then.
  Result<LauncherFacts> launcher_of_builder() {
    const auto builder = find(generation_.builder_digest, generation_.builder);
    auto facts = builder ? launcher_facts(environment_, *builder, context_)
                         : Result<LauncherFacts>(builder.error());
    if (facts) return facts;
    if (context_.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    if (notices_ != nullptr)
      notices_->push_back(
          "the image's label says less of the lifecycle than the builder's own exporter would have "
          "written, so its id is another one: " +
          facts.error().message());
    return LauncherFacts{.version = generation_.lifecycle_version, .repository = {}, .commit = {}};
  }

  Result<PackedLayers> pack() {
    const bool single = TRY(environment_.host()).id_map == runtime::IdMapKind::single;
    PackedLayers known = read_packed(store_);
    const ExportJob job{.app = {.top = store_.dir(),
                                .uid = single ? 0 : generation_.uid,
                                .gid = single ? 0 : generation_.gid},
                        .generation = generation_.to_json(),
                        .known = to_json(known),
                        .owner = {generation_.uid, generation_.gid}};
    const Json done = TRY(environment_.run(
        encode(job),
        [this](const Json& progress) {
          if (context_.progress)
            context_.progress(
                {.phase = progress["phase"].as_string(), .item = progress["item"].as_string()});
        },
        context_.stop));
    const ExportResult result = TRY(decode<ExportResult>(done));
    PackedLayers packed = packed_layers_from_json(result.packed);
    if (result.made > 0) {
      PackedLayers all = packed;
      all.merge(known);
      TRY(write_packed(store_, std::move(all)));
    }
    return packed;
  }

  builder::Environment& environment_;
  const AppStore& store_;
  const Generation& generation_;
  const builder::PrepareContext& context_;
  std::vector<std::string>* notices_;
  oci::ImageStore* images_ = nullptr;
};

}  // namespace

Result<oci::StoredImage> export_generation(builder::Environment& environment, const AppStore& store,
                                           const Generation& generation,
                                           const std::vector<oci::ImageReference>& names,
                                           const builder::PrepareContext& context,
                                           std::vector<std::string>* notices) {
  oci::ImageStore& images = *TRY(environment.images());
  const oci::ImageReference own = TRY(oci::ImageReference::parse(app_image_name(store.app())));
  // Neither a build's housekeeping may take the generation away, nor `image rm` what is not yet
  // named.
  const AppLock lock = TRY(AppLock::take(environment, store.app(), context.stop));
  const UniqueFd lease = TRY(images.layout().lease());
  const auto work = [&]() -> Result<oci::StoredImage> {
    const oci::Digest manifest =
        generation.strict()
            ? TRY(oci::Digest::parse(generation.image_digest))
            : TRY(Exporting(environment, store, generation, context, notices).run());
    TRY(images.tag(manifest, own));
    for (const oci::ImageReference& name : names) TRY(images.tag(manifest, name));
    return images.find(names.empty() ? own : names.front());
  };
  return work().context("export " + store.app());
}

}  // namespace locald::cnb
