#include "oci/transfer/image_export.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/judged_folder.h"
#include "base/sys/sys.h"
#include "oci/archive/byte_sink.h"
#include "oci/archive/tar_writer.h"
#include "oci/spec/manifest.h"
#include "oci/spec/media_type.h"
#include "oci/store/image_layout.h"

namespace locald::oci {
namespace {

constexpr const char* kDefaultName = "latest";
constexpr std::size_t kMaxIndex = 16u << 20;

/// The files of an image, each as the store has it: documents first.
std::vector<Descriptor> blobs_of(const StoredImage& image, std::uint64_t manifest_bytes) {
  std::vector<Descriptor> out = {{image.manifest.media_type, image.manifest_digest, manifest_bytes},
                                 image.manifest.config};
  std::set<Digest> seen = {image.manifest_digest, image.manifest.config.digest};
  for (const Descriptor& layer : image.manifest.layers)
    if (seen.insert(layer.digest).second) out.push_back(layer);
  return out;
}

Json index_entry(const StoredImage& image, std::uint64_t manifest_bytes, const std::string& name) {
  return Descriptor{image.manifest.media_type,
                    image.manifest_digest,
                    manifest_bytes,
                    {{kRefName, name}},
                    image.config.platform}
      .to_json();
}

Json index_document(Json::Array entries) {
  return Json::object(
      {{"schemaVersion", 2}, {"mediaType", kOciIndex}, {"manifests", Json(std::move(entries))}});
}

class FileSink final : public ByteSink {
 public:
  explicit FileSink(int fd) : fd_(fd) {}
  Result<void> write(std::span<const std::byte> chunk) override {
    return sys::write_all(fd_, {reinterpret_cast<const char*>(chunk.data()), chunk.size()});
  }

 private:
  int fd_;
};

class ImageExport {
 public:
  ImageExport(const ImageLayout& store, const StoredImage& image, const ImageReference& target,
              const PathJudge& judge, const ExportOptions& options)
      : store_(store),
        image_(image),
        path_(target.path),
        name_(target.tag.empty() ? kDefaultName : target.tag),
        judge_(judge),
        options_(options) {}

  Result<void> begin() {
    manifest_bytes_ = TRY(store_.read_document(image_.manifest_digest, kMaxManifestBytes)).size();
    blobs_ = blobs_of(image_, manifest_bytes_);
    for (const Descriptor& blob : blobs_) total_ += blob.size_bytes;
    return {};
  }

  Result<void> to_layout() {
    const auto there = judge_.open(path_, PathJudge::Use::look);
    if (!there && there.error().code() == Errc::not_found) return to_new_layout();
    if (!there) return there.error();
    if (!there->is_folder()) return Error(Errc::invalid_input, path_ + " is not a folder");
    const UniqueFd dir = TRY(there->reopen(O_RDONLY | O_DIRECTORY));
    while (::flock(dir.get(), LOCK_EX) != 0)
      if (errno != EINTR) return Error::from_errno(errno, "lock " + path_);
    bool empty = true;
    TRY(list_dir(dir.get(), [&](const std::string&, unsigned char) -> Result<void> {
      empty = false;
      return {};
    }));
    if (!empty) TRY(check_layout(dir.get()));
    std::vector<std::string> added;
    auto done = fill(dir.get(), empty, added);
    if (!done)
      for (auto name = added.rbegin(); name != added.rend(); ++name)
        if (::unlinkat(dir.get(), name->c_str(), 0) != 0)
          (void)::unlinkat(dir.get(), name->c_str(), AT_REMOVEDIR);
    return done;
  }

  Result<void> to_archive() {
    const JudgedParent parent = TRY(judged_parent(judge_, path_).context("write " + path_));
    const int folder = parent.folder.fd.get();
    struct stat there {};
    if (::fstatat(folder, parent.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISREG(there.st_mode))
      return Error(Errc::already_exists, path_ + " is not a regular file, and stays")
          .with_hint("name a file that is not there, or one that the archive may replace");
    const std::string part = parent.name + ".part-" + random_hex(4);
    const UniqueFd file =
        TRY(sys::openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644)
                .context("write " + path_));
    auto work = [&]() -> Result<void> {
      FileSink sink(file.get());
      TRY(write_archive(sink));
      if (::fchmod(file.get(), 0644) != 0 || ::fsync(file.get()) != 0)
        return Error::from_errno(errno, "write " + path_);
      if (::renameat(folder, part.c_str(), folder, parent.name.c_str()) != 0)
        return Error::from_errno(errno, "rename to " + path_);
      return {};
    };
    auto done = work();
    if (!done) (void)::unlinkat(folder, part.c_str(), 0);
    return done;
  }

 private:
  /// Beside it, and renamed when it is whole.
  Result<void> to_new_layout() {
    const JudgedParent parent = TRY(judged_parent(judge_, path_).context("make " + path_));
    const int folder = parent.folder.fd.get();
    const std::string part = parent.name + ".part-" + random_hex(4);
    if (::mkdirat(folder, part.c_str(), 0755) != 0)
      return Error::from_errno(errno, "make " + path_);
    auto work = [&]() -> Result<void> {
      const UniqueFd dir = TRY(sys::openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      if (::fchmod(dir.get(), 0755) != 0) return Error::from_errno(errno, "chmod " + part);
      std::vector<std::string> added;
      TRY(fill(dir.get(), /*empty=*/true, added));
      const char* name = parent.name.c_str();
      if (::renameat2(folder, part.c_str(), folder, name, RENAME_NOREPLACE) == 0) return {};
      // Not every file system can promise not to replace: at most an empty folder is.
      if (errno == EINVAL && ::renameat(folder, part.c_str(), folder, name) == 0) return {};
      return Error::from_errno(errno, "rename to " + path_);
    };
    auto done = work();
    if (!done) (void)remove_tree(folder, part);
    return done;
  }

  Result<void> check_layout(int dir) const {
    const std::string there = "/proc/self/fd/" + std::to_string(dir);
    const auto layout = ImageLayout::open(there);
    if (layout) return {};
    std::string text = layout.error().message();
    if (const std::size_t at = text.find(there); at != std::string::npos)
      text.replace(at, there.size(), path_);
    return Error(layout.error().code(), text);
  }

  /// @param added  Gets what is new in it, in order.
  Result<void> fill(int dir, bool empty, std::vector<std::string>& added) {
    // Name by name, so that no symlink in it leads elsewhere.
    UniqueFd blobs = TRY(sys::openat(dir, ".", O_RDONLY | O_DIRECTORY));
    std::string way;
    for (const char* folder : {"blobs", "sha256"}) {
      way += (way.empty() ? "" : "/") + std::string(folder);
      const bool made = ::mkdirat(blobs.get(), folder, 0755) == 0;
      if (!made && errno != EEXIST) return Error::from_errno(errno, "make " + path_ + "/" + way);
      blobs = TRY(sys::openat(blobs.get(), folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                      .context(path_ + "/" + way));
      if (!made) continue;
      added.push_back(way);
      (void)::fchmod(blobs.get(), 0755);  // whatever our umask is
    }
    for (const Descriptor& blob : blobs_) {
      struct stat st {};
      const bool there =
          ::fstatat(blobs.get(), blob.digest.hex().c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISREG(st.st_mode) && static_cast<std::uint64_t>(st.st_size) == blob.size_bytes;
      if (there) {
        tell(blob.size_bytes);
        continue;
      }
      TRY(copy_blob(blobs.get(), blob));
      added.push_back("blobs/sha256/" + blob.digest.hex());
    }
    TRY(sync_dir(blobs.get()));
    if (empty) {
      added.emplace_back("oci-layout");
      TRY(write_document(dir, "oci-layout", kLayoutFile));
    }
    Json::Array entries;
    Json document;
    if (!empty) {
      const UniqueFd index =
          TRY(sys::openat(dir, "index.json", O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
      document = TRY(
          parse_image_json(TRY(read_all(index.get(), kMaxIndex))).context(path_ + "/index.json"));
      for (const Json& entry : document["manifests"].as_array())
        if (entry["annotations"][kRefName].as_string() != name_) entries.push_back(entry);
    }
    entries.push_back(index_entry(image_, manifest_bytes_, name_));
    if (document.is_object())
      document.set("manifests", Json(std::move(entries)));  // what else it says stays
    else
      document = index_document(std::move(entries));
    if (empty) added.emplace_back("index.json");
    return write_document(dir, "index.json", document.dump());
  }

  static Result<void> write_document(int dir, const char* name, const std::string& text) {
    TRY(write_file_atomic(dir, name, text, 0644, Durability::synced));
    if (::fchmodat(dir, name, 0644, 0) != 0)  // whatever our umask is
      return Error::from_errno(errno, std::string("chmod ") + name);
    return {};
  }

  Result<void> copy_blob(int folder, const Descriptor& blob) {
    const std::string part = "part-" + random_hex(8);
    const UniqueFd file =
        TRY(sys::openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
    auto work = [&]() -> Result<void> {
      FileSink sink(file.get());
      TRY(stream(blob, [&](std::span<const std::byte> chunk) { return sink.write(chunk); }));
      if (::fchmod(file.get(), 0644) != 0 || ::fsync(file.get()) != 0)
        return Error::from_errno(errno, "write " + path_);
      if (::renameat(folder, part.c_str(), folder, blob.digest.hex().c_str()) != 0)
        return Error::from_errno(errno, "rename in " + path_);
      return {};
    };
    auto done = work();
    if (!done) (void)::unlinkat(folder, part.c_str(), 0);
    return done;
  }

  Result<void> write_archive(ByteSink& sink) {
    TarWriter tar(sink);
    const auto document = [&](const std::string& name, const std::string& text) -> Result<void> {
      TRY(tar.entry({.name = name, .mode = 0644, .size = text.size()}));
      return tar.write(std::as_bytes(std::span(text)));
    };
    TRY(document("oci-layout", kLayoutFile));
    TRY(document("index.json",
                 index_document({index_entry(image_, manifest_bytes_, name_)}).dump()));
    for (const char* folder : {"blobs/", "blobs/sha256/"})
      TRY(tar.entry({.type = TarHeader::Type::folder, .name = folder, .mode = 0755}));
    for (const Descriptor& blob : blobs_) {
      TRY(tar.entry(
          {.name = "blobs/sha256/" + blob.digest.hex(), .mode = 0644, .size = blob.size_bytes}));
      TRY(stream(blob, [&](std::span<const std::byte> chunk) { return tar.write(chunk); }));
    }
    return tar.finish();
  }

  template <typename Take>
  Result<void> stream(const Descriptor& blob, Take take) {
    const auto source = TRY(store_.open_verified(blob).context("the image's blob"));
    for (auto chunk = TRY(source->read()); !chunk.empty(); chunk = TRY(source->read())) {
      if (options_.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
      TRY(take(chunk));
      tell(chunk.size());
    }
    return {};
  }

  void tell(std::uint64_t bytes) {
    done_ += bytes;
    if (options_.progress) options_.progress(done_, total_);
  }

  const ImageLayout& store_;
  const StoredImage& image_;
  std::string path_, name_;
  const PathJudge& judge_;
  const ExportOptions& options_;
  std::uint64_t manifest_bytes_ = 0;
  std::vector<Descriptor> blobs_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace

Result<void> export_image(const ImageLayout& store, const StoredImage& image,
                          const ImageReference& target, const PathJudge& judge,
                          const ExportOptions& options) {
  if (target.transport != Transport::oci && target.transport != Transport::oci_archive)
    return Error(Errc::invalid_input,
                 "an image is exported to oci:DIR[:NAME] or oci-archive:FILE[:NAME]")
        .with_hint("to a registry: locald image push");
  if (!target.path.starts_with('/'))
    return Error(Errc::invalid_input, target.path + " is not absolute");
  ImageExport work(store, image, target, judge, options);
  const auto run = [&]() -> Result<void> {
    TRY(work.begin());
    return target.transport == Transport::oci ? work.to_layout() : work.to_archive();
  };
  auto done = run();
  if (!done && done.error().code() == Errc::no_space)
    return std::move(done)
        .context("export to " + target.path)
        .hint("make room there, or export to another disk; nothing was left behind");
  const std::string above = target.path.substr(0, std::max<std::size_t>(target.path.rfind('/'), 1));
  if (!done && done.error().code() == Errc::not_found && !exists(above))
    return std::move(done)
        .context("export to " + target.path)
        .hint("create the folder first: mkdir -p " + shell_quote(above));
  return std::move(done).context("export to " + target.path);
}

}  // namespace locald::oci
