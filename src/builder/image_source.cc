#include "builder/image_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/judged_folder.h"
#include "base/sys/sys.h"
#include "builder/assembly.h"
#include "builder/jobs.h"
#include "builder/pull_turns.h"
#include "oci/registry/login_file.h"
#include "oci/spec/platform.h"

namespace locald::builder {
namespace {

/// A worker's words (oci::PullProgress) in ours.
PrepareProgress translate(const Json& progress) {
  const std::string& phase = progress["phase"].as_string();
  PrepareProgress out;
  out.phase = phase == "resolving"     ? "resolve"
              : phase == "downloading" ? "pull"
              : phase == "applying"    ? "extract"
                                       : phase;
  out.item = progress["item"].as_string();
  if (const std::string& note = progress["note"].as_string(); !note.empty())
    out.item += (out.item.empty() ? "" : " ") + note;
  out.done = static_cast<std::uint64_t>(progress["done"].as_int());
  out.total = static_cast<std::uint64_t>(progress["total"].as_int());
  return out;
}

std::function<void(const Json&)> forward(const PrepareContext& context) {
  if (!context.progress) return {};
  return [&context](const Json& progress) { context.progress(translate(progress)); };
}

std::vector<std::string> notices_of(const Json& result) {
  std::vector<std::string> notices = result["warnings"].as_strings();
  if (const std::int64_t devices = result["devices"].as_int(); devices > 0)
    notices.push_back(
        std::to_string(devices) +
        " device files of the image were left out: a user namespace cannot hold them");
  return notices;
}

/// The image with all its layers, if nobody needs to be asked for it.
Result<oci::StoredImage> find_complete(Environment& environment,
                                       const oci::ImageReference& reference) {
  oci::StoredImage image = TRY(TRY(environment.images())->find(reference));
  const oci::LayerStore* layers = TRY(environment.layers());
  for (const oci::LayerKey& layer : oci::layer_keys(image.diff_ids))
    if (!layers->has(layer))
      return Error(Errc::not_found, reference.familiar() + ": layer " + layer.diff_id.short_hex() +
                                        " is not unpacked");
  return image;
}

/// `image`, and what the worker may say to the registry of `reference`: read here, as the user, and
/// told to nobody else.
JobImage with_login(std::string image, const oci::ImageReference& reference,
                    const PrepareContext& context) {
  JobImage out{.image = std::move(image)};
  if (!reference.is_registry()) return out;
  const oci::FoundLogin found =
      oci::find_login(context.login_files, reference.registry, reference.repository);
  if (found.login) out.login = JobLogin{found.login->user, found.login->password};
  out.login_hint = found.hint;
  return out;
}

}  // namespace

Result<PushedImage> push_image(Environment& environment, const oci::StoredImage& image,
                               const oci::ImageReference& target, const PrepareContext& context) {
  const PushJob job{.what = with_login(image.manifest_digest.str(), target, context),
                    .name = image.name,
                    .target = target.name()};
  const Json result = TRY(environment.run(
      encode(job),
      [&context](const Json& progress) {
        if (!context.progress) return;
        const std::string& note = progress["note"].as_string();
        const std::string& item = progress["item"].as_string();
        context.progress({.phase = progress["phase"].as_string() == "waiting" ? "waiting" : "push",
                          .item = item + (item.empty() || note.empty() ? "" : " ") + note,
                          .done = static_cast<std::uint64_t>(progress["done"].as_int()),
                          .total = static_cast<std::uint64_t>(progress["total"].as_int())});
      },
      context.stop));
  const auto count = [&](const char* name) { return static_cast<unsigned>(result[name].as_int()); };
  return PushedImage{.uploaded = count("uploaded"),
                     .mounted = count("mounted"),
                     .there_before = count("there_before"),
                     .uploaded_bytes = static_cast<std::uint64_t>(result["bytes"].as_int())};
}

Result<PulledImage> pull_image(Environment& environment, const oci::ImageReference& reference,
                               oci::PullPolicy policy, const PrepareContext& context) {
  if (policy != oci::PullPolicy::always) {
    auto present = find_complete(environment, reference);
    if (present) return PulledImage{std::move(present).value()};
    // Anything but "not there" (a damaged blob) is repaired by a pull.
    if (policy == oci::PullPolicy::never && present.error().code() != Errc::not_found)
      return std::move(present).error();
  }
  // Two services of one image: the second finds it all there.
  static PullTurns turns;
  const PullTurns::Turn turn = TRY(turns.take(environment.paths().data() + "\n" + reference.name(),
                                              context.progress, context.stop));
  const PullJob job{.from = with_login(reference.name(), reference, context),
                    .policy = std::string(to_string(policy))};
  const Json result = TRY(environment.run(
      encode(job),
      [&](const Json& progress) {
        const PrepareProgress now = translate(progress);
        if (context.progress) context.progress(now);
        turn.tell(now);
      },
      context.stop));
  PulledImage pulled{.image = TRY(find_complete(environment, reference)),
                     .contacted = result["contacted"].as_bool()};
  pulled.notices = notices_of(result);
  return pulled;
}

Result<std::vector<std::string>> image_lowers(Environment& environment,
                                              const std::vector<oci::Digest>& diff_ids) {
  const oci::LayerStore* layers = TRY(environment.layers());
  std::vector<std::string> lowers;
  const auto keys = oci::layer_keys(diff_ids);
  for (auto layer = keys.rbegin(); layer != keys.rend(); ++layer) {
    std::string path = TRY(layers->short_path(*layer));
    // The same layer twice is one: the kernel refuses it (ELOOP), and the upper one hides all of
    // the lower.
    if (std::find(lowers.begin(), lowers.end(), path) == lowers.end())
      lowers.push_back(std::move(path));
  }
  if (lowers.empty())
    return Error(Errc::invalid_input, "the image has no layers, so there is nothing to run");
  return lowers;
}

Result<UnpackedImage> unpack_image(Environment& environment, const oci::ImageReference& reference,
                                   oci::PullPolicy policy, const std::string& dir,
                                   const PrepareContext& context) {
  const PathJudge judge = environment.judge();
  const std::string where = "unpack " + reference.familiar();
  const MadeFolder target = TRY(make_judged_folder(judge, dir, 0755).context(where));
  TRY(list_dir(target.folder.fd.get(), [&](const std::string&, unsigned char) -> Result<void> {
    return Error(Errc::already_exists, where + ": " + dir + " is not empty")
        .with_hint("name a new or an empty folder");
  }));
  const UnpackJob job{.from = with_login(reference.name(), reference, context),
                      .policy = std::string(to_string(policy))};
  auto result =
      environment.run(encode(job), forward(context), context.stop, {}, target.folder.fd.get());
  if (!result && target.made) {
    // The worker has emptied it again.
    const auto parent = judged_parent(judge, dir);
    if (parent) (void)::unlinkat(parent->folder.fd.get(), parent->name.c_str(), AT_REMOVEDIR);
  }
  const Json done = TRY(std::move(result));
  return UnpackedImage{.digest = done["digest"].as_string(),
                       .entries = static_cast<std::uint64_t>(done["entries"].as_int()),
                       .warnings = notices_of(done)};
}

Result<oci::ImageStore::Removed> remove_image(Environment& environment, const std::string& text,
                                              const std::vector<oci::Digest>& also_used,
                                              const std::stop_token& stop) {
  oci::ImageStore* images = TRY(environment.images());
  const auto mutex = environment.lock_for(kInUse);
  const std::lock_guard lock(*mutex);
  const std::vector<std::string> in_use = TRY(container_stamps(environment.paths()));
  const std::vector<oci::StoredImage> present = TRY(images->list());
  const auto names_of = [&](const std::string& digest) {
    return std::count_if(present.begin(), present.end(),
                         [&](const auto& image) { return image.manifest_digest.str() == digest; });
  };
  if (const auto image = images->find(text)) {
    const std::string digest = image->manifest_digest.str();
    const auto users = std::count(in_use.begin(), in_use.end(), digest);
    const bool last_name = names_of(digest) < 2 || image->name != text;
    if (users > 0 && last_name)
      return Error(Errc::invalid_input, text + " is used by " + std::to_string(users) +
                                            (users == 1 ? " container" : " containers"))
          .with_hint(
              "end what uses it first: locald down, or locald container rm (locald container ls "
              "lists them)");
  }
  oci::ImageStore::Removed removed = TRY(images->remove(text));
  // A container may stand on an image whose name has moved on: which layers those are nobody
  // knows any more, so none is removed while there is one.
  const bool all_known = std::all_of(in_use.begin(), in_use.end(), [&](const std::string& digest) {
    return digest.starts_with("cnb:") || names_of(digest) > 0;
  });
  RemoveLayersJob job;
  for (const oci::Digest& layer : removed.unused_layers)
    if (std::find(also_used.begin(), also_used.end(), layer) == also_used.end())
      job.diff_ids.push_back(layer.str());
  if (!job.diff_ids.empty() && all_known) TRY(environment.run(encode(job), {}, stop));
  // Facts of images that are no more.
  std::vector<std::string> kept;
  for (const oci::StoredImage& image : TRY(images->list()))
    kept.push_back(image.manifest_digest.hex());
  if (const auto dir = sys::open(environment.paths().facts(), O_RDONLY | O_DIRECTORY)) {
    std::vector<std::string> gone;
    TRY(list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
      if (std::find(kept.begin(), kept.end(), name) == kept.end()) gone.push_back(name);
      return {};
    }));
    for (const std::string& name : gone) TRY(remove_tree(dir->get(), name));
  }
  return removed;
}

ImageSource::ImageSource(Environment& environment, oci::ImageReference reference,
                         oci::PullPolicy policy, ContainerOptions options,
                         std::string container_key)
    : environment_(environment),
      reference_(std::move(reference)),
      policy_(policy),
      options_(std::move(options)),
      container_key_(std::move(container_key)) {}

std::string ImageSource::fingerprint() const { return fingerprint_; }

Result<runtime::ContainerBundle> ImageSource::prepare(const std::string& destination,
                                                      const PrepareContext& context) {
  const std::string where = reference_.familiar();
  const oci::PullPolicy policy =
      policy_ == oci::PullPolicy::always && asked_ ? oci::PullPolicy::missing : policy_;
  PulledImage pulled = TRY(pull_image(environment_, reference_, policy, context).context(where));
  asked_ = true;
  const oci::StoredImage& image = pulled.image;
  if (oci::platform_score(image.config.platform, oci::Platform::host()) == 0)
    return Error(Errc::unsupported, where + ": the image is " + image.config.platform.str() +
                                        ", this host is " + oci::Platform::host().str())
        .with_hint("take an image for this platform");

  std::vector<std::string> lowers = TRY(image_lowers(environment_, image.diff_ids).context(where));
  runtime::ContainerBundle bundle =
      TRY(assemble({.environment = environment_,
                    .options = options_,
                    .container_key = container_key_,
                    .stamp = image.manifest_digest.str(),
                    .lowers = std::move(lowers),
                    .lower_base = TRY(environment_.layers())->dir(),
                    .image = image.config,
                    .facts_file = environment_.paths().facts() + "/" + image.manifest_digest.hex()},
                   destination, context)
              .context(where));
  bundle.notices.insert(bundle.notices.begin(), pulled.notices.begin(), pulled.notices.end());
  fingerprint_ = image.manifest_digest.str();
  return bundle;
}

}  // namespace locald::builder
