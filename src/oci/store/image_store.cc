#include "oci/store/image_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <map>
#include <mutex>

#include "base/error_kind.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "base/units.h"
#include "oci/spec/media_type.h"
#include "oci/transfer/image_origin.h"

namespace locald::oci {
namespace {

// Beside the name in an index entry; read by us alone.
constexpr const char* kIndexDigest =
    "dev.locald.index";  // the multi-platform index it was chosen from
constexpr const char* kSourceStamp = "dev.locald.source";  // state of the file it came from
constexpr const char* kPulledAt = "dev.locald.pulled-at";

constexpr int kMaxIndexDepth = 4;
constexpr std::size_t kMaxCached = 1024;
constexpr std::size_t kShortestId = 12;
constexpr std::int64_t kKeepDownloads = 24 * 3600;  // seconds

/// "sha256:3f2a…" or bare hex digits: the digits, or "" if it is not an id.
std::string id_digits(std::string_view text) {
  if (text.substr(0, 7) == "sha256:") text.remove_prefix(7);
  const bool hex = text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return hex && text.size() >= kShortestId && text.size() <= 64 ? std::string(text) : std::string();
}

Error not_there(const std::string& name) {
  return Error(Errc::not_found, "the image " + name + " is not in the store")
      .with_hint("locald image pull " + shell_quote(name));
}

struct Parsed {
  ImageManifest manifest;
  ImageConfig config;
  std::uint64_t size_bytes = 0;
};

}  // namespace

struct ImageStore::State {
  explicit State(ImageLayout open_layout) : layout(std::move(open_layout)) {}

  ImageLayout layout;
  std::mutex mutex;
  std::map<Digest, std::shared_ptr<const Parsed>> cache;  // by manifest; content never changes

  /// The manifest of this host's platform beneath an entry of the index.
  Result<Descriptor> platform_manifest(const Descriptor& entry) const {
    Descriptor at = entry;
    for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
      if (!is_index_type(at.media_type)) return at;
      const auto document = TRY(
          parse_manifest(TRY(layout.read_document(at.digest, kMaxManifestBytes)), at.media_type));
      at = TRY(choose_platform(std::get<ImageIndex>(document).manifests, Platform::host()));
    }
    return Error(Errc::invalid_input,
                 "indexes in indexes, more than " + std::to_string(kMaxIndexDepth) + " deep");
  }

  Result<std::shared_ptr<const Parsed>> parsed(const Descriptor& manifest) {
    {
      const std::lock_guard guard(mutex);
      const auto found = cache.find(manifest.digest);
      // The bytes were verified once; that they are still there is asked each time.
      if (found != cache.end() && layout.blob_size(manifest.digest) &&
          layout.has_blob(found->second->manifest.config))
        return found->second;
    }
    const std::string bytes = TRY(layout.read_document(manifest.digest, kMaxManifestBytes));
    auto document = TRY(parse_manifest(bytes, manifest.media_type));
    auto* image = std::get_if<ImageManifest>(&document);
    if (image == nullptr)
      return Error(Errc::corrupt,
                   manifest.digest.str() + " is an index where a manifest was expected");
    ImageConfig config =
        TRY(ImageConfig::parse(TRY(layout.read_document(image->config.digest, kMaxManifestBytes))));
    if (config.diff_ids.size() != image->layers.size())
      return Error(Errc::corrupt, manifest.digest.str() + ": " +
                                      std::to_string(image->layers.size()) + " layers, but " +
                                      std::to_string(config.diff_ids.size()) + " diff ids");
    std::uint64_t size = bytes.size() + image->config.size_bytes;
    for (const Descriptor& layer : image->layers) size += layer.size_bytes;
    auto out = std::make_shared<const Parsed>(Parsed{std::move(*image), std::move(config), size});
    const std::lock_guard guard(mutex);
    if (cache.size() >= kMaxCached) cache.clear();
    cache[manifest.digest] = out;
    return out;
  }

  Result<StoredImage> image(const Descriptor& entry, const std::string& name) {
    const Descriptor manifest = TRY(platform_manifest(entry));
    const auto content = TRY(parsed(manifest));
    return StoredImage{name,
                       manifest.digest,
                       content->manifest.config.digest,
                       content->manifest,
                       content->config,
                       content->config.diff_ids,
                       content->size_bytes,
                       content->config.created,
                       entry.annotation(kPulledAt)};
  }

  /// Blobs beneath `entry`; what is damaged names nothing.
  /// @return an error where something cannot be read now: what it names must stay.
  Result<void> mark(const Descriptor& entry, std::set<Digest>& used, int depth = 0) const {
    if (depth > kMaxIndexDepth || !used.insert(entry.digest).second) return {};
    auto bytes = layout.read_document(entry.digest, kMaxManifestBytes);
    if (!bytes && !says_something(bytes.error())) return std::move(bytes).error();
    if (!bytes) return {};
    auto document = parse_manifest(*bytes, entry.media_type);
    if (!document) return {};
    if (const auto* index = std::get_if<ImageIndex>(&*document)) {
      for (const Descriptor& below : index->manifests) TRY(mark(below, used, depth + 1));
    } else {
      const auto& image = std::get<ImageManifest>(*document);
      used.insert(image.config.digest);
      for (const Descriptor& layer : image.layers) used.insert(layer.digest);
    }
    return {};
  }

  /// The entries that an id (hex digits) means.
  Result<std::vector<Descriptor>> by_id(const std::string& digits, const std::string& text) {
    const auto entries = TRY(layout.index());
    std::vector<Descriptor> out;
    std::set<Digest> meant;
    for (const Descriptor& entry : *entries) {
      auto starts = [&digits](const std::string& hex) {
        return hex.compare(0, digits.size(), digits) == 0;
      };
      bool match =
          starts(entry.digest.hex()) ||
          entry.annotation(kIndexDigest).compare(0, 7 + digits.size(), "sha256:" + digits) == 0;
      if (!match) {
        const auto known = image(entry, "");
        match =
            known && (starts(known->config_digest.hex()) || starts(known->manifest_digest.hex()));
      }
      if (!match) continue;
      out.push_back(entry);
      meant.insert(entry.digest);
    }
    if (out.empty()) return not_there(text);
    if (meant.size() > 1)
      return Error(Errc::invalid_input,
                   "the id " + text + " means " + std::to_string(meant.size()) + " images")
          .with_hint("give more digits");
    return out;
  }
};

ImageStore::ImageStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageStore::ImageStore(ImageStore&&) noexcept = default;
ImageStore& ImageStore::operator=(ImageStore&&) noexcept = default;
ImageStore::~ImageStore() = default;
ImageLayout& ImageStore::layout() noexcept { return state_->layout; }
const ImageLayout& ImageStore::layout() const noexcept { return state_->layout; }

Result<ImageStore> ImageStore::open(const std::string& images_dir) {
  return ImageStore(
      std::make_unique<State>(TRY(ImageLayout::open_or_create(images_dir).context("image store"))));
}

Result<StoredImage> ImageStore::find(const ImageReference& reference) const {
  const std::string name = reference.name();
  const auto entries = TRY(state_->layout.index());
  const Descriptor* found = nullptr;
  for (const Descriptor& entry : *entries)
    if (entry.annotation(kRefName) == name) found = &entry;
  if (found == nullptr && reference.digest) {
    // A digest means the same content under whatever name it came.
    for (const Descriptor& entry : *entries)
      if (entry.digest == *reference.digest ||
          entry.annotation(kIndexDigest) == reference.digest->str())
        found = &entry;
  }
  if (found == nullptr) return not_there(reference.familiar());
  if (const std::string stamp = source_stamp(reference);
      !stamp.empty() && stamp != found->annotation(kSourceStamp))
    return not_there(reference.familiar()).with_context("its source has changed");
  auto image = state_->image(*found, name);
  if (!image && image.error().code() == Errc::not_found)
    return not_there(reference.familiar()).with_context("a part of it is missing");
  return std::move(image).context("image " + reference.familiar());
}

Result<StoredImage> ImageStore::find(std::string_view text, const std::string& base_dir) const {
  const std::string digits = id_digits(text);
  if (text.substr(0, 7) != "sha256:" || digits.empty()) {
    auto reference = ImageReference::parse(text, base_dir);
    if (!reference && digits.empty()) return std::move(reference).error();
    if (reference) {
      auto named = find(*reference);
      if (named || digits.empty() || named.error().code() != Errc::not_found) return named;
    }
  }
  const auto entries = TRY(state_->by_id(digits, std::string(text)));
  return state_->image(entries[0], entries[0].annotation(kRefName));
}

Result<std::vector<StoredImage>> ImageStore::list() const {
  const auto entries = TRY(state_->layout.index());
  std::vector<StoredImage> out;
  for (const Descriptor& entry : *entries)
    if (auto image = state_->image(entry, entry.annotation(kRefName)))
      out.push_back(std::move(*image));
  std::sort(out.begin(), out.end(),
            [](const StoredImage& a, const StoredImage& b) { return a.name < b.name; });
  return out;
}

Result<void> ImageStore::tag(const Digest& manifest_digest, const ImageReference& reference,
                             const std::string& stamp, std::optional<Digest> index_digest) {
  const UniqueFd lease = TRY(state_->layout.lease());
  const auto size = state_->layout.blob_size(manifest_digest);
  if (!size) return not_there(manifest_digest.str());
  const std::string name = reference.name();
  const auto document =
      TRY(parse_manifest(TRY(state_->layout.read_document(manifest_digest, kMaxManifestBytes))));
  const auto* image = std::get_if<ImageManifest>(&document);
  const std::string type =
      image != nullptr ? image->media_type : std::get<ImageIndex>(document).media_type;
  Descriptor entry{type, manifest_digest, *size, {{kRefName, name}, {kPulledAt, now_text()}}};
  if (!stamp.empty()) entry.annotations[kSourceStamp] = stamp;
  if (index_digest) entry.annotations[kIndexDigest] = index_digest->str();
  if (image != nullptr)
    if (auto content = state_->parsed(entry)) entry.platform = (*content)->config.platform;
  return state_->layout.change_index([&](std::vector<Descriptor>& entries) -> Result<void> {
    std::erase_if(entries,
                  [&name](const Descriptor& old) { return old.annotation(kRefName) == name; });
    entries.push_back(entry);
    return {};
  });
}

Result<ImageStore::Removed> ImageStore::remove(std::string_view text, const std::string& base_dir) {
  const std::set<Digest> before = TRY(used_layers());
  std::set<std::string> names;
  const std::string digits = id_digits(text);
  auto reference = text.substr(0, 7) == "sha256:"
                       ? Result<ImageReference>(Error(Errc::invalid_input, ""))
                       : ImageReference::parse(text, base_dir);
  const auto entries = TRY(state_->layout.index());
  if (reference)
    for (const Descriptor& entry : *entries)
      if (entry.annotation(kRefName) == reference->name()) names.insert(reference->name());
  std::set<Digest> nameless;
  if (names.empty()) {
    if (digits.empty()) {
      if (!reference) return std::move(reference).error();
      return Error(Errc::not_found, "there is no image " + reference->familiar() + " in the store")
          .with_hint("locald image ls");
    }
    const auto meant = TRY(state_->by_id(digits, std::string(text)));
    for (const Descriptor& entry : meant) {
      if (const std::string name = entry.annotation(kRefName); !name.empty())
        names.insert(name);
      else
        nameless.insert(entry.digest);
    }
  }
  TRY(state_->layout.change_index([&](std::vector<Descriptor>& all) -> Result<void> {
    std::erase_if(all, [&](const Descriptor& entry) {
      const std::string name = entry.annotation(kRefName);
      return name.empty() ? nameless.contains(entry.digest) : names.contains(name);
    });
    return {};
  }));
  Removed out = TRY(collect());
  out.names.assign(names.begin(), names.end());
  const std::set<Digest> after = TRY(used_layers());
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::back_inserter(out.unused_layers));
  return out;
}

Result<ImageStore::Removed> ImageStore::collect() {
  Removed out;
  const auto alone = TRY(state_->layout.try_exclusive());
  if (!alone) {
    out.kept_for_pull = true;
    return out;
  }
  std::set<Digest> used;
  const auto entries = TRY(state_->layout.index());
  for (const Descriptor& entry : *entries) TRY(state_->mark(entry, used));
  TRY(state_->layout.each_blob([&](const Digest& digest, std::uint64_t size) -> Result<void> {
    if (used.contains(digest)) return {};
    state_->layout.drop_blob(digest);
    out.freed_bytes += size;
    return {};
  }));
  {
    const std::lock_guard guard(state_->mutex);
    state_->cache.clear();
  }
  const UniqueFd ingest =
      TRY(sys::openat(state_->layout.dir_fd(), "ingest", O_RDONLY | O_DIRECTORY));
  TRY(list_dir(ingest.get(), [&](const std::string& name, unsigned char) -> Result<void> {
    struct stat st {};
    // What a BlobWriter left cannot be resumed: whether it is under way, its lock says.
    const std::int64_t keep = name.starts_with("new-") ? 0 : kKeepDownloads;
    if (::fstatat(ingest.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        std::time(nullptr) - st.st_mtime < keep)
      return {};
    if (auto fd = sys::openat(ingest.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0)
      return {};
    if (::unlinkat(ingest.get(), name.c_str(), 0) == 0)
      out.freed_bytes += static_cast<std::uint64_t>(st.st_size);
    return {};
  }));
  return out;
}

Result<std::set<Digest>> ImageStore::used_layers() const {
  std::set<Digest> out;
  const auto entries = TRY(state_->layout.index());
  for (const Descriptor& entry : *entries) {
    auto image = state_->image(entry, "");
    if (!image && !says_something(image.error())) return std::move(image).error();
    if (image) out.insert(image->diff_ids.begin(), image->diff_ids.end());
  }
  return out;
}

Result<std::uint64_t> ImageStore::disk_usage() const {
  std::uint64_t total = 0;
  TRY(state_->layout.each_blob([&total](const Digest&, std::uint64_t size) -> Result<void> {
    total += size;
    return {};
  }));
  const UniqueFd ingest =
      TRY(sys::openat(state_->layout.dir_fd(), "ingest", O_RDONLY | O_DIRECTORY));
  TRY(list_dir(ingest.get(), [&](const std::string& name, unsigned char) -> Result<void> {
    struct stat st {};
    if (::fstatat(ingest.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
      total += static_cast<std::uint64_t>(st.st_size);
    return {};
  }));
  return total;
}

Result<std::vector<ImageStore::Damage>> ImageStore::check(
    const std::function<bool()>& cancelled) const {
  std::vector<Damage> out;
  std::map<Digest, std::string> verdicts;  // "" is sound
  auto verdict = [&](const Descriptor& blob) -> Result<std::string> {
    if (const auto known = verdicts.find(blob.digest); known != verdicts.end())
      return known->second;
    std::string problem;
    auto source = state_->layout.open_verified(blob);
    if (!source) problem = source.error().message();
    while (source) {
      if (cancelled && cancelled()) return Error(Errc::cancelled, "cancelled");
      auto chunk = (*source)->read();
      if (!chunk) problem = chunk.error().message();
      if (!chunk || chunk->empty()) break;
    }
    verdicts[blob.digest] = problem;
    return problem;
  };
  const auto entries = TRY(state_->layout.index());
  for (const Descriptor& entry : *entries) {
    const std::string name = entry.annotation(kRefName);
    auto image = state_->image(entry, name);
    if (!image) {
      out.push_back({name, image.error().message()});
      continue;
    }
    std::vector<Descriptor> blobs = image->manifest.layers;
    blobs.push_back(image->manifest.config);
    for (const Descriptor& blob : blobs)
      if (const std::string problem = TRY(verdict(blob)); !problem.empty())
        out.push_back({name, problem});
  }
  return out;
}

}  // namespace locald::oci
