#include "builder/image_prune.h"

#include <algorithm>
#include <map>

#include "base/sys/fs_at.h"
#include "builder/image_source.h"
#include "builder/jobs.h"
#include "builder/storage.h"

namespace locald::builder {
namespace {

/// Layers that no image names, with what they take, where no container stands on an image whose
/// name has moved on.
Result<std::vector<oci::LayerStore::Entry>> spare_layers(Environment& environment,
                                                         const PruneWishes& wishes,
                                                         const std::set<std::string>& going) {
  const oci::ImageStore& images = *TRY(environment.images());
  std::set<oci::Digest> used(wishes.used_layers.begin(), wishes.used_layers.end());
  std::set<std::string> known;
  for (const oci::StoredImage& image : TRY(images.list())) {
    known.insert(image.manifest_digest.str());
    if (!going.contains(image.name)) used.insert(image.diff_ids.begin(), image.diff_ids.end());
  }
  std::vector<oci::LayerStore::Entry> out;
  for (const std::string& stamp : TRY(container_stamps(environment.paths())))
    if (!stamp.starts_with("cnb:") && !known.contains(stamp)) return out;
  for (oci::LayerStore::Entry& layer : TRY(TRY(environment.layers())->list()))
    if (!used.contains(layer.diff_id)) out.push_back(std::move(layer));
  return out;
}

/// Bytes of blobs that only images of `going` have.
std::uint64_t blob_bytes(const std::vector<oci::StoredImage>& all,
                         const std::set<std::string>& going) {
  std::map<oci::Digest, std::uint64_t> sizes;
  const auto each_blob = [](const oci::StoredImage& image, const auto& visit) {
    visit(image.manifest.config);
    for (const oci::Descriptor& layer : image.manifest.layers) visit(layer);
  };
  for (const oci::StoredImage& image : all)
    if (going.contains(image.name))
      each_blob(image, [&](const auto& blob) { sizes[blob.digest] = blob.size_bytes; });
  for (const oci::StoredImage& image : all)
    if (!going.contains(image.name))
      each_blob(image, [&](const auto& blob) { sizes.erase(blob.digest); });
  std::uint64_t sum = 0;
  for (const auto& [digest, size] : sizes) sum += size;
  return sum;
}

}  // namespace

Result<std::vector<oci::StoredImage>> unused_images(Environment& environment,
                                                    const std::set<std::string>& used) {
  const std::vector<std::string> stamps = TRY(container_stamps(environment.paths()));
  std::vector<oci::StoredImage> out;
  for (oci::StoredImage& image : TRY(TRY(environment.images())->list()))
    if (!used.contains(image.name) &&
        std::find(stamps.begin(), stamps.end(), image.manifest_digest.str()) == stamps.end())
      out.push_back(std::move(image));
  return out;
}

Result<PrunedImages> prune_images(Environment& environment, const PruneWishes& wishes,
                                  const std::stop_token& stop) {
  PrunedImages out;
  std::set<std::string> going;
  for (const oci::StoredImage& image : TRY(unused_images(environment, wishes.used))) {
    if (wishes.all) going.insert(image.name);
    (wishes.all ? out.removed : out.kept).push_back(image.name);
  }
  if (wishes.dry_run) {
    out.freed_bytes = out.blob_bytes = blob_bytes(TRY(TRY(environment.images())->list()), going);
    for (const auto& layer : TRY(spare_layers(environment, wishes, going))) {
      out.freed_bytes += layer.bytes;
      ++out.layers;
    }
    return out;
  }
  const auto unpacked = [&]() -> Result<std::uint64_t> {
    std::uint64_t sum = 0;
    for (const auto& layer : TRY(TRY(environment.layers())->list())) sum += layer.bytes;
    return sum;
  };
  const std::uint64_t before = TRY(unpacked());
  for (const std::string& name : going) {
    auto removed = remove_image(environment, name, wishes.used_layers, stop);
    if (removed) {
      out.blob_bytes += removed->freed_bytes;
      continue;
    }
    std::erase(out.removed, name);
    // One that a container was started on a moment ago, or that is gone.
    if (removed.error().code() != Errc::invalid_input && removed.error().code() != Errc::not_found)
      return std::move(removed).error();
  }
  const auto mutex = environment.lock_for(kInUse);
  const std::lock_guard lock(*mutex);
  const oci::ImageStore::Removed collected = TRY(TRY(environment.images())->collect());
  out.blob_bytes += collected.freed_bytes;
  if (!collected.kept_for_pull) {
    RemoveLayersJob job;
    for (const auto& layer : TRY(spare_layers(environment, wishes, {})))
      job.diff_ids.push_back(layer.diff_id.str());
    if (!job.diff_ids.empty()) TRY(environment.run(encode(job), {}, stop));
  }
  out.freed_bytes = out.blob_bytes + before - std::min(before, TRY(unpacked()));
  return out;
}

}  // namespace locald::builder
