#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "oci/spec/media_type.h"
#include "oci/store/blob_source.h"
#include "oci/transfer/image_origin.h"
#include "oci/transfer/pull.h"
#include "oci/transfer/resolve.h"

namespace locald::oci {
namespace {

/// An empty folder to write to; on the way out without keep() it is emptied again, or removed if it
/// is ours.
class Target {
 public:
  static Result<Target> open(const std::string& dir) {
    Target out;
    out.dir_ = dir;
    out.made_ = !exists(dir);
    out.fd_ = TRY(make_dirs(dir, 0755));
    bool empty = true;
    TRY(list_dir(out.fd_.get(), [&empty](const std::string&, unsigned char) -> Result<void> {
      empty = false;
      return {};
    }));
    if (!empty) {
      out.keep();
      return Error(Errc::already_exists, dir + " is not empty")
          .with_hint("name a new or an empty folder");
    }
    return out;
  }
  Target(Target&&) = default;
  Target& operator=(Target&&) = default;
  ~Target() {
    if (!fd_ || kept_) return;
    std::vector<std::string> names;
    (void)list_dir(fd_.get(), [&names](const std::string& name, unsigned char) -> Result<void> {
      names.push_back(name);
      return {};
    });
    for (const std::string& name : names) (void)remove_tree(fd_.get(), name);
    if (made_) (void)remove_tree(dir_);
  }
  int fd() const { return fd_.get(); }
  void keep() { kept_ = true; }

 private:
  Target() = default;
  std::string dir_;
  UniqueFd fd_;
  bool made_ = false;
  bool kept_ = false;
};

Result<UnpackResult> unpack_image(const ImageReference& reference, ImageStore& store,
                                  const std::string& dir, const PullOptions& options) {
  Target target = TRY(Target::open(dir));
  const ImageLayout& layout = store.layout();
  const UniqueFd lease = TRY(layout.lease());
  auto present = store.find(reference);
  if (!present && options.policy == PullPolicy::never) return std::move(present).error();
  auto tell = [&options](PullProgress progress) {
    if (options.progress) options.progress(progress);
  };
  RegistryClient::Options client;
  client.stop = options.stop;
  client.note = [&tell](const std::string& note) {
    tell({.phase = PullProgress::Phase::waiting, .note = note});
  };
  if (options.credentials && reference.is_registry())
    client.login = options.credentials(reference.registry);
  LazyOrigin origin(reference, client, options.policy != PullPolicy::never);
  const bool from_store = present && options.policy != PullPolicy::always;
  if (!from_store) tell({.phase = PullProgress::Phase::resolving, .note = reference.familiar()});
  const ResolvedImage image =
      from_store ? TRY(resolve_stored(*present, layout)) : TRY(resolve(*TRY(origin.get()), layout));

  std::uint64_t size = image.manifest_bytes.size() + image.config_bytes.size();
  for (const Descriptor& layer : image.manifest.layers) size += layer.size_bytes;
  UnpackResult out{StoredImage{reference.name(),
                               image.manifest_descriptor.digest,
                               image.manifest.config.digest,
                               image.manifest,
                               image.config,
                               image.config.diff_ids,
                               size,
                               image.config.created,
                               {}}};
  const auto count = static_cast<unsigned>(image.manifest.layers.size());
  for (unsigned i = 0; i < count; ++i) {
    const Descriptor& blob = image.manifest.layers[i];
    const std::string where = "layer " + std::to_string(i + 1) + " of " + std::to_string(count) +
                              " (" + blob.digest.short_hex() + ")";
    // What is in the store comes from there; the rest streams by and is not kept.
    auto source = layout.has_blob(blob)
                      ? TRY(layout.open_verified(blob).context(where))
                      : verified_source(TRY(TRY(origin.get())->blob(blob, 0).context(where)), blob);
    ApplyOptions apply = options.apply;
    apply.stop = options.stop;
    apply.progress = [&](std::uint64_t bytes) {
      tell({.phase = PullProgress::Phase::applying,
            .layer = blob.digest.short_hex(),
            .done = bytes,
            .layers_done = i,
            .layers_total = count});
    };
    const AppliedLayer applied =
        TRY(apply_layer_flat(*source, blob.media_type, target.fd(), apply).context(where));
    // The apply may end before the stream does: the digest speaks only after the last byte.
    while (!TRY(source->read().context(where)).empty()) {
    }
    if (applied.diff_id != image.config.diff_ids[i])
      return Error(Errc::corrupt, where + ": unpacked it is " + applied.diff_id.str() +
                                      ", the image promises " + image.config.diff_ids[i].str());
    out.bytes += applied.bytes;
    out.entries += applied.entries;
    out.skipped_devices += applied.skipped_devices;
    out.warnings.insert(out.warnings.end(), applied.warnings.begin(), applied.warnings.end());
    tell({.phase = PullProgress::Phase::layer_done,
          .layer = blob.digest.short_hex(),
          .layers_done = i + 1,
          .layers_total = count});
  }
  target.keep();
  tell({.phase = PullProgress::Phase::finished, .layers_done = count, .layers_total = count});
  return out;
}

}  // namespace

Result<UnpackResult> unpack(const ImageReference& reference, ImageStore& store, LayerStore&,
                            const std::string& dir, const PullOptions& options) {
  return unpack_image(reference, store, dir, options).context("unpack " + reference.familiar());
}

}  // namespace locald::oci
