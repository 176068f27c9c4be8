#include "cnb/export/export_job.h"

#include <fcntl.h>

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cnb/app.h"
#include "cnb/export/app_image.h"
#include "cnb/export/slices.h"
#include "cnb/jobs.h"
#include "cnb/source/staging.h"
#include "cnb/store/app_folder.h"
#include "oci/layer/layer_archive.h"
#include "oci/layer/layer_writer.h"
#include "oci/store/image_layout.h"

namespace locald::cnb {
namespace {

using EntryOrder = oci::LayerArchive::Order;

class Export {
 public:
  static Result<Json> run(const Json& json, const std::function<void(Json)>& progress) {
    const ExportJob job = TRY(decode<ExportJob>(json));
    Export work(TRY(AppFolder::open(job.app)), TRY(Generation::from_json(job.generation)),
                TRY(oci::ImageLayout::open(job.world.images)), progress);
    work.owner_ = {job.owner.uid, job.owner.gid};
    work.single_ = job.world.id_map == "single";
    return work.all(packed_layers_from_json(job.known));
  }

 private:
  Export(AppFolder app, Generation generation, oci::ImageLayout images,
         const std::function<void(Json)>& progress)
      : app_(std::move(app)),
        generation_(std::move(generation)),
        images_(std::move(images)),
        progress_(progress),
        root_("g/" + std::to_string(generation_.root) + "/root/") {}

  Result<Json> all(const PackedLayers& known) {
    PackedLayers packed;
    std::uint64_t made = 0;
    for (const AppLayer& layer : app_layers(generation_)) {
      const auto found = known.find(layer.key);
      if (found != known.end() && images_.has_blob(found->second.blob)) {
        packed.insert(*found);
        continue;
      }
      progress_(Json::object({{"phase", "export"}, {"item", name_for_people(layer)}}));
      packed.insert_or_assign(layer.key, TRY(pack(layer).context(layer.created_by)));
      ++made;
    }
    return encode(ExportResult{to_json(packed), made});
  }

  static std::string name_for_people(const AppLayer& layer) {
    switch (layer.kind) {
      case AppLayer::Kind::buildpack:
        return layer.buildpack + ":" + layer.name;
      case AppLayer::Kind::app:
        return "app";
      default:
        return {};
    }
  }

  Result<PackedLayer> pack(const AppLayer& layer) {
    const auto writer = TRY(oci::LayerWriter::into(images_, {}));
    oci::LayerArchive archive(*writer, kNormalTime);
    TRY(fill(layer, archive));
    TRY(archive.finish());
    const oci::WrittenLayer written = TRY(std::move(*writer).finish());
    return PackedLayer{written.diff_id, *written.blob};
  }

  Result<void> fill(const AppLayer& layer, oci::LayerArchive& archive) {
    switch (layer.kind) {
      case AppLayer::Kind::buildpack: {
        const std::string top = "t/" + layer.tree + "/layers", own = top + "/" + layer.buildpack;
        TRY(parent(archive, top, "/layers"));
        TRY(parent(archive, own, "/layers/" + layer.buildpack));
        return tree(archive, own + "/" + layer.name,
                    "/layers/" + layer.buildpack + "/" + layer.name);
      }
      case AppLayer::Kind::sbom:
        TRY(parent(archive, root_ + "layers", "/layers"));
        TRY(parent(archive, root_ + "layers/sbom", "/layers/sbom"));
        return tree(archive, root_ + "layers/sbom/launch", "/layers/sbom/launch");
      case AppLayer::Kind::app:
        return slice(archive, layer.slice);
      case AppLayer::Kind::launcher: {
        TRY(archive.made_folder("/cnb"));
        TRY(archive.made_folder("/cnb/lifecycle"));
        const UniqueFd dir = TRY(app_.dir(root_ + "cnb/lifecycle"));
        const UniqueFd file =
            TRY(sys::openat(dir.get(), "launcher", O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
        return archive.file(file.get(), std::string(kLauncher), 0755);
      }
      case AppLayer::Kind::config:
        TRY(parent(archive, root_ + "layers", "/layers"));
        return tree(archive, root_ + "layers/config", "/layers/config");
      case AppLayer::Kind::process_types:
        TRY(archive.made_folder("/cnb"));
        TRY(archive.made_folder("/cnb/process"));
        for (const Process& process : generation_.processes)
          TRY(archive.made_symlink("/cnb/process/" + process.type, std::string(kLauncher)));
        return {};
    }
    return {};
  }

  Result<void> parent(oci::LayerArchive& archive, const std::string& folder,
                      const std::string& name) const {
    const UniqueFd dir = TRY(app_.dir(folder));
    return archive.folder(dir.get(), name, [this](uid_t uid, gid_t gid) {
      return single_ ? owner_ : oci::ArchiveOwner{uid, gid};
    });
  }

  Result<void> tree(oci::LayerArchive& archive, const std::string& folder,
                    const std::string& name) const {
    const UniqueFd dir = TRY(app_.dir(folder));
    return archive.tree(dir.get(), name, owner_, EntryOrder::folder_first);
  }

  /// The app's folder is above all others but "/", which nobody packs.
  Result<void> slice(oci::LayerArchive& archive, std::size_t number) {
    const UniqueFd dir = TRY(app_.dir(root_ + "workspace"));
    if (generation_.slices.empty())
      return archive.tree(dir.get(), "/workspace", owner_, EntryOrder::by_path);
    if (!slices_) TRY(cut(dir.get()));
    const std::set<std::string>& paths = (*slices_)[number];
    if (paths.empty()) return {};  // a layer of nothing
    return archive.tree(dir.get(), "/workspace", owner_, EntryOrder::by_path,
                        [&](const std::string& path) { return paths.contains(path); });
  }

  Result<void> cut(int workspace) {
    std::vector<SlicePath> paths = {{"", true}};
    TRY(list(workspace, "", paths));
    slices_.emplace();
    for (const auto& indexes : TRY(slice_paths(paths, generation_.slices))) {
      std::set<std::string>& slice = slices_->emplace_back();
      for (const std::size_t i : indexes) slice.insert(paths[i].path);
    }
    return {};
  }

  static Result<void> list(int dir, const std::string& above, std::vector<SlicePath>& paths) {
    std::vector<std::string> names;
    const UniqueFd reading = TRY(sys::openat(dir, ".", O_RDONLY | O_DIRECTORY));
    TRY(list_dir(reading.get(), [&](const std::string& name, unsigned char) -> Result<void> {
      names.push_back(name);
      return {};
    }));
    for (const std::string& name : names) {
      const std::string path = above.empty() ? name : above + "/" + name;
      const auto folder = sys::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      paths.push_back({path, folder.has_value()});
      if (folder) TRY(list(folder->get(), path, paths));
    }
    return {};
  }

  AppFolder app_;
  Generation generation_;
  oci::ImageLayout images_;
  const std::function<void(Json)>& progress_;
  std::string root_;
  oci::ArchiveOwner owner_;
  bool single_ = false;
  std::optional<std::vector<std::set<std::string>>> slices_;
};

}  // namespace

Json PackedLayer::to_json() const {
  return Json::object({{"diff_id", diff_id.str()}, {"blob", blob.to_json()}});
}

Result<PackedLayer> PackedLayer::from_json(const Json& json) {
  return PackedLayer{TRY(oci::Digest::parse(TRY(json.get_string("diff_id")))),
                     TRY(oci::Descriptor::from_json(json["blob"]))};
}

Json to_json(const PackedLayers& layers) {
  Json out = Json::object();
  for (const auto& [key, layer] : layers) out.set(key, layer.to_json());
  return out;
}

PackedLayers packed_layers_from_json(const Json& json) {
  PackedLayers out;
  for (const auto& [key, value] : json.as_object())
    if (auto layer = PackedLayer::from_json(value)) out.emplace(key, std::move(*layer));
  return out;
}

Result<Json> export_job(const Json& job, const std::function<void(Json)>& progress) {
  return Export::run(job, progress);
}

}  // namespace locald::cnb
