#include "oci/transfer/resolve.h"

#include <set>

#include "base/strings.h"
#include "oci/spec/media_type.h"
#include "oci/store/blob_source.h"

namespace locald::oci {
namespace {

constexpr int kMaxNestedIndexes = 4;

Result<std::string> fetch_document(ImageOrigin& origin, const ImageLayout& local,
                                   const Descriptor& blob, std::uint64_t& downloaded) {
  if (local.has_blob(blob))
    if (auto bytes = local.read_document(blob.digest, kMaxManifestBytes))
      return bytes;  // a damaged one is fetched again
  const auto source = verified_source(TRY(origin.blob(blob, 0)), blob);
  std::string out;
  for (auto chunk = TRY(source->read()); !chunk.empty(); chunk = TRY(source->read()))
    out.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
  downloaded += out.size();
  return out;
}

Result<void> check_config(const ImageManifest& manifest, const ImageConfig& config) {
  if (config.diff_ids.size() != manifest.layers.size())
    return Error(Errc::corrupt, "the manifest has " + std::to_string(manifest.layers.size()) +
                                    " layers, the config " +
                                    std::to_string(config.diff_ids.size()));
  const Platform host = Platform::host();
  const Platform& image = config.platform;
  // Nothing but files that run anywhere, as packages of buildpacks in a script language are.
  if (image.architecture.empty() && (image.os.empty() || image.os == host.os)) return {};
  if (platform_score(image, host) == 0)
    return Error(Errc::unsupported, "the image is " + image.str() + ", this host is " + host.os +
                                        "/" + host.architecture)
        .with_hint("choose a tag that is built for " + host.architecture +
                   ", or build the image for it");
  return {};
}

}  // namespace

Result<ResolvedImage> resolve(ImageOrigin& origin, const ImageLayout& local) {
  FetchedDocument fetched = TRY(origin.root());
  std::uint64_t downloaded = fetched.bytes.size();
  std::optional<Digest> outermost;
  std::optional<Platform> platform;
  std::set<Digest> visited;
  for (int depth = 0;; ++depth) {
    auto document = parse_manifest(fetched.bytes, fetched.content_type);
    if (!document)
      return std::move(document).error().with_context("manifest " + fetched.digest.str());
    if (auto* image = std::get_if<ImageManifest>(&*document)) {
      std::string bytes =
          TRY(fetch_document(origin, local, image->config, downloaded).context("image config"));
      ImageConfig config = TRY(ImageConfig::parse(bytes));
      TRY(check_config(*image, config));
      Descriptor descriptor{image->media_type, fetched.digest, fetched.bytes.size(), {}, platform};
      return ResolvedImage{
          std::move(descriptor), std::move(*image), std::move(config), std::move(fetched.bytes),
          std::move(bytes),      outermost,         downloaded};
    }
    if (depth == kMaxNestedIndexes || !visited.insert(fetched.digest).second)
      return Error(Errc::invalid_input, "indexes in indexes, more than " +
                                            std::to_string(kMaxNestedIndexes) +
                                            " deep or in a circle");
    if (!outermost) outermost = fetched.digest;
    const Descriptor chosen =
        TRY(choose_platform(std::get<ImageIndex>(*document).manifests, Platform::host()));
    platform = chosen.platform;
    fetched = TRY(origin.manifest(chosen));
    downloaded += fetched.bytes.size();
    if (fetched.digest != chosen.digest || fetched.bytes.size() != chosen.size_bytes)
      return Error(Errc::corrupt, "the index promises " + chosen.digest.str() + " of " +
                                      std::to_string(chosen.size_bytes) + " bytes, got " +
                                      fetched.digest.str() + " of " +
                                      std::to_string(fetched.bytes.size()));
    // The index's word on the type counts like the registry's: all three must agree.
    if (!is_manifest_type(fetched.content_type) && !is_index_type(fetched.content_type))
      fetched.content_type = chosen.media_type;
  }
}

Result<ResolvedImage> resolve_stored(const StoredImage& image, const ImageLayout& local) {
  std::string manifest = TRY(local.read_document(image.manifest_digest, kMaxManifestBytes));
  std::string config = TRY(local.read_document(image.config_digest, kMaxManifestBytes));
  TRY(check_config(image.manifest, image.config));
  Descriptor descriptor{image.manifest.media_type, image.manifest_digest, manifest.size()};
  return ResolvedImage{std::move(descriptor),
                       image.manifest,
                       image.config,
                       std::move(manifest),
                       std::move(config),
                       std::nullopt,
                       0};
}

}  // namespace locald::oci
