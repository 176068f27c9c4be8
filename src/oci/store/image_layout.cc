#include "oci/store/image_layout.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error_kind.h"
#include "base/strings.h"
#include "base/sys/file_lock.h"
#include "base/sys/file_stamp.h"
#include "base/sys/fs_at.h"
#include "base/sys/set_aside.h"
#include "base/sys/sys.h"
#include "oci/spec/manifest.h"
#include "oci/spec/media_type.h"
#include "oci/store/blob_source.h"

namespace locald::oci {
namespace {

constexpr std::size_t kReadBytes = 256u << 10;
constexpr auto kLockPoll =
    std::chrono::milliseconds(25);  // flock(2) has no wait that a stop token could end
constexpr const char* kIndexCopy = ".index.copy.json";

std::string blob_path(const Digest& digest) { return "blobs/sha256/" + digest.hex(); }
std::string ingest_path(const Digest& digest) { return "ingest/" + digest.hex(); }

/// A regular file and nothing else; O_NONBLOCK so that a FIFO cannot hold us.
Result<UniqueFd> open_regular(int dir_fd, const std::string& path, const std::string& what) {
  auto fd = sys::openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) {
    if (fd.error().sys_errno() == ELOOP)
      return Error(Errc::corrupt, what + " is a symbolic link; refused");
    return std::move(fd).error().with_context(what);
  }
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return Error::from_errno(errno, "stat " + what);
  if (!S_ISREG(st.st_mode)) return Error(Errc::corrupt, what + " is not a regular file; refused");
  return fd;
}

std::uint64_t free_bytes(int dir_fd) {
  struct statvfs fs {};
  if (::fstatvfs(dir_fd, &fs) != 0) return UINT64_MAX;
  return static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
}

Result<void> lock_waiting(int fd, const std::stop_token& stop) {
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return Error::from_errno(errno, "lock a download");
    if (stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    std::this_thread::sleep_for(kLockPoll);
  }
  return {};
}

Json index_json(const std::vector<Descriptor>& entries) {
  Json list = Json::array();
  for (const Descriptor& entry : entries) list.push(entry.to_json());
  return Json::object({{"schemaVersion", 2},
                       {"mediaType", std::string(kOciIndex)},
                       {"manifests", std::move(list)}});
}

}  // namespace

Result<std::unique_ptr<ByteSource>> BlobIngest::prefix() const {
  UniqueFd fd = TRY(open_regular(layout_dir_, ingest_path(expected_.digest),
                                 "the download of " + expected_.digest.str()));
  return file_source(std::move(fd), offset());
}

Result<void> BlobIngest::write(std::span<const std::byte> chunk) {
  TRY(verifier_->update(chunk));
  return sys::write_all(file_.get(), {reinterpret_cast<const char*>(chunk.data()), chunk.size()})
      .context("store " + expected_.digest.str());
}

Result<void> BlobIngest::commit() && {
  if (already_there()) return {};
  if (auto verified = std::move(*verifier_).finish(); !verified) {
    discard();
    return verified;
  }
  const std::string from = ingest_path(expected_.digest);
  const std::string to = blob_path(expected_.digest);
  if (::fsync(file_.get()) != 0) return Error::from_errno(errno, "fsync " + from);
  if (::renameat(layout_dir_, from.c_str(), layout_dir_, to.c_str()) != 0) {
    // A folder in its place: locald did not create it.
    if (errno == EISDIR) TRY(remove_tree(layout_dir_, to));
    if (::renameat(layout_dir_, from.c_str(), layout_dir_, to.c_str()) != 0)
      return Error::from_errno(errno, "rename " + from);
  }
  const UniqueFd folder = TRY(sys::openat(layout_dir_, "blobs/sha256", O_RDONLY | O_DIRECTORY));
  return sync_dir(folder.get());
}

void BlobIngest::discard() {
  if (already_there()) return;
  ::unlinkat(layout_dir_, ingest_path(expected_.digest).c_str(), 0);
  verifier_.reset();
  file_.reset();
}

struct ImageLayout::Cache {
  std::mutex mutex;
  std::uint64_t inode = 0;
  std::int64_t mtime_ns = -1;
  bool settled = false;  ///< nobody can have changed it since within the same tick
  off_t size = 0;
  std::shared_ptr<const std::vector<Descriptor>> entries;
  bool own = false;  ///< made by open_or_create(): what is damaged of it is made again
};

ImageLayout::ImageLayout(std::string dir, UniqueFd dir_fd)
    : dir_(std::move(dir)), dir_fd_(std::move(dir_fd)), cache_(std::make_shared<Cache>()) {}

Result<ImageLayout> ImageLayout::open(const std::string& dir) {
  ImageLayout layout(dir, TRY(sys::open(dir, O_RDONLY | O_DIRECTORY)));
  auto read = [&layout]() -> Result<void> {
    const UniqueFd fd = TRY(open_regular(layout.dir_fd(), "oci-layout", "oci-layout"));
    const Json document = TRY(parse_image_json(TRY(read_all(fd.get(), kMaxManifestBytes))));
    const std::string version = TRY(document.get_string("imageLayoutVersion"));
    if (version.starts_with("1.")) return {};
    const bool later = parse_u64(version.substr(0, version.find('.'))).has_value();
    return Error(later ? Errc::unsupported : Errc::corrupt,
                 "imageLayoutVersion \"" + version + "\"; 1.x is read");
  };
  if (auto checked = read(); !checked) {
    if (!says_something(checked.error())) return std::move(checked).error().with_context(dir);
    const Errc code =
        checked.error().code() == Errc::not_found ? Errc::invalid_input : checked.error().code();
    return Error(code, dir + " is not an OCI image layout: " + checked.error().message());
  }
  return layout;
}

Result<ImageLayout> ImageLayout::open_or_create(const std::string& dir) {
  auto there = open(dir);
  if (!there && !says_something(there.error())) return there;
  if (there && exists(dir + "/index.json") && exists(dir + "/blobs/sha256")) {
    there->cache_->own = true;
    return there;
  }
  const UniqueFd dir_fd = TRY(make_dirs(dir, 0700));
  const UniqueFd lock = TRY(lock_file(dir + "/.index.lock", /*wait=*/true));
  for (const char* sub : {"blobs", "blobs/sha256", "ingest"})
    TRY(sys::mkdirat(dir_fd.get(), sub, 0700));
  if (!there && there.error().code() == Errc::unsupported) return there;  // of a later version
  if (!there) (void)TRY(set_aside(dir_fd.get(), "oci-layout"));
  TRY(write_file_atomic(dir_fd.get(), "oci-layout", kLayoutFile, 0644, Durability::synced));
  ImageLayout made = TRY(open(dir));
  made.cache_->own = true;
  if (!exists(dir + "/index.json")) {
    const auto entries = TRY(made.index());  // of the copy
    TRY(write_file_atomic(dir_fd.get(), "index.json", index_json(*entries).dump(), 0644,
                          Durability::synced));
  }
  return made;
}

Result<UniqueFd> ImageLayout::open_blob(const Digest& digest) const {
  return open_regular(dir_fd_.get(), blob_path(digest), "blob " + digest.str());
}

std::optional<std::uint64_t> ImageLayout::blob_size(const Digest& digest) const {
  struct stat st {};
  if (::fstatat(dir_fd_.get(), blob_path(digest).c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(st.st_mode))
    return std::nullopt;
  return static_cast<std::uint64_t>(st.st_size);
}

Result<std::string> ImageLayout::read_document(const Digest& digest, std::size_t max_bytes) const {
  const UniqueFd fd = TRY(open_blob(digest));
  std::string bytes = TRY(read_all(fd.get(), max_bytes).context("blob " + digest.str()));
  if (const Digest got = Digest::of(bytes); got != digest)
    return Error(Errc::corrupt,
                 "the blob " + digest.str() + " is damaged: its bytes hash to " + got.str());
  return bytes;
}

Result<std::unique_ptr<ByteSource>> ImageLayout::open_verified(const Descriptor& blob) const {
  UniqueFd fd = TRY(open_blob(blob.digest));
  return verified_source(file_source(std::move(fd)), blob);
}

Result<BlobIngest> ImageLayout::ingest(const Descriptor& blob, std::stop_token stop) {
  BlobIngest out(dir_fd_.get(), blob);
  const std::string path = ingest_path(blob.digest);
  TRY(sys::mkdirat(dir_fd_.get(), "ingest", 0700));
  while (true) {
    out.file_ = TRY(sys::openat(dir_fd_.get(), path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    TRY(lock_waiting(out.file_.get(), stop));
    if (still_named(out.file_.get(), dir_fd_.get(), path)) break;
  }
  if (has_blob(blob)) {
    ::unlinkat(dir_fd_.get(), path.c_str(), 0);
    out.file_.reset();
    return out;
  }
  out.verifier_ = std::make_unique<BlobVerifier>(blob);
  struct stat st {};
  if (::fstat(out.file_.get(), &st) != 0) return Error::from_errno(errno, "stat " + path);
  if (static_cast<std::uint64_t>(st.st_size) > blob.size_bytes &&
      ::ftruncate(out.file_.get(), 0) != 0)
    return Error::from_errno(errno, "truncate " + path);
  std::vector<std::byte> buffer(kReadBytes);
  while (const std::size_t n = TRY(sys::read_some(out.file_.get(), buffer.data(), buffer.size())))
    TRY(out.verifier_->update({buffer.data(), n}));
  if (const std::uint64_t needed = blob.size_bytes - out.offset();
      needed > free_bytes(dir_fd_.get())) {
    out.discard();
    return Error(Errc::no_space, "a blob of " + human_bytes(needed) + " does not fit");
  }
  return out;
}

Result<void> ImageLayout::add_document(const Descriptor& blob, std::string_view bytes) {
  if (has_blob(blob))
    if (const auto present = read_document(blob.digest, blob.size_bytes);
        !present && present.error().code() == Errc::corrupt)
      drop_blob(blob.digest);
  BlobIngest in = TRY(ingest(blob));
  if (in.already_there()) return {};
  if (in.offset() != 0) {
    in.discard();  // some bytes of a small document: not worth resuming
    in = TRY(ingest(blob));
    if (in.already_there()) return {};
  }
  TRY(in.write(std::as_bytes(std::span(bytes))));
  return std::move(in).commit();
}

Result<Descriptor> ImageLayout::add_image(std::string_view config, std::vector<Descriptor> layers) {
  for (Descriptor& layer : layers) {
    layer.media_type = oci_layer_type(layer.media_type);
    layer.annotations.clear();
  }
  const ImageManifest manifest{std::string(kOciManifest),
                               {std::string(kOciConfig), Digest::of(config), config.size()},
                               std::move(layers),
                               {}};
  const std::string document = manifest.to_json().dump();
  Descriptor described{std::string(kOciManifest), Digest::of(document), document.size()};
  TRY(add_document(manifest.config, config));
  TRY(add_document(described, document));
  return described;
}

void ImageLayout::drop_blob(const Digest& digest) {
  // remove_tree, for what lies there may be a folder.
  (void)remove_tree(dir_fd_.get(), blob_path(digest));
}

namespace {

Result<std::vector<Descriptor>> read_index(int fd, const std::string& path) {
  auto document = parse_manifest(TRY(read_all(fd, kMaxManifestBytes)), kOciIndex);
  if (!document) return std::move(document).error().with_context(path);
  return std::get<ImageIndex>(std::move(*document)).manifests;
}

/// In place of an index.json of ours that cannot be read for `why`: the copy that change_index()
/// has left beside it; without it none, and every name is fetched again.
Result<std::shared_ptr<const std::vector<Descriptor>>> copy_of_index(int dir_fd, const Error& why) {
  if (!says_something(why)) return why;
  auto fd = open_regular(dir_fd, kIndexCopy, kIndexCopy);
  if (!fd && !says_something(fd.error())) return std::move(fd).error();
  auto entries = fd ? read_index(fd->get(), kIndexCopy)
                    : Result<std::vector<Descriptor>>(std::vector<Descriptor>());
  if (!entries) entries = std::vector<Descriptor>();
  return std::make_shared<const std::vector<Descriptor>>(std::move(*entries));
}

}  // namespace

Result<std::shared_ptr<const std::vector<Descriptor>>> ImageLayout::index() const {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto fd = open_regular(dir_fd_.get(), "index.json", dir_ + "/index.json");
  if (!fd) {
    if (cache_->own) return copy_of_index(dir_fd_.get(), fd.error());
    return fd.error();
  }
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return Error::from_errno(errno, "stat " + dir_ + "/index.json");
  const std::int64_t mtime = sys::nanoseconds(st.st_mtim);
  const std::lock_guard guard(cache_->mutex);
  if (cache_->entries && cache_->settled && cache_->inode == st.st_ino &&
      cache_->mtime_ns == mtime && cache_->size == st.st_size)
    return cache_->entries;
  auto entries = read_index(fd->get(), dir_ + "/index.json");
  if (!entries && cache_->own) return copy_of_index(dir_fd_.get(), entries.error());
  if (!entries) return std::move(entries).error();
  cache_->entries = std::make_shared<const std::vector<Descriptor>>(std::move(*entries));
  cache_->inode = st.st_ino;
  cache_->mtime_ns = mtime;
  cache_->settled = is_settled(mtime, sys::nanoseconds(now));
  cache_->size = st.st_size;
  return cache_->entries;
}

Result<void> ImageLayout::change_index(
    const std::function<Result<void>(std::vector<Descriptor>&)>& change) {
  const UniqueFd lock = TRY(lock_at(dir_fd_.get(), ".index.lock", /*wait=*/true));
  const auto before = TRY(index());
  std::vector<Descriptor> entries = *before;
  TRY(change(entries));
  if (entries == *before) return {};
  if (entries.size() > kMaxIndexEntries)
    return Error(Errc::invalid_input,
                 "the image store holds " + std::to_string(kMaxIndexEntries) + " names")
        .with_hint("remove some: locald image rm NAME");
  const std::string text = index_json(entries).dump();
  if (cache_->own) {
    const auto fd = open_regular(dir_fd_.get(), "index.json", "index.json");
    if (!fd || !read_index(fd->get(), "index.json"))
      (void)TRY(set_aside(dir_fd_.get(), "index.json"));
  }
  TRY(write_file_atomic(dir_fd_.get(), "index.json", text, 0644, Durability::synced));
  // For the day that index.json is damaged; old or new, it is better than nothing.
  if (cache_->own) (void)write_file_atomic(dir_fd_.get(), kIndexCopy, text, 0644);
  return {};
}

Error ImageLayout::no_space(const std::string& what) const {
  return Error(Errc::no_space, what + "; " + dir_ + " has " +
                                   human_bytes(free_bytes(dir_fd_.get())) + " of space left")
      .with_hint("make room there (locald image rm IMAGE), or put the store on another disk");
}

Result<void> ImageLayout::each_blob(
    const std::function<Result<void>(const Digest&, std::uint64_t size)>& visit) const {
  const UniqueFd folder = TRY(sys::openat(dir_fd_.get(), "blobs/sha256", O_RDONLY | O_DIRECTORY));
  return list_dir(folder.get(), [&](const std::string& name, unsigned char) -> Result<void> {
    const auto digest = Digest::parse("sha256:" + name);
    if (!digest) return {};  // not ours: a temporary of another tool
    return visit(*digest, blob_size(*digest).value_or(0));
  });
}

Result<UniqueFd> ImageLayout::lease() const {
  return lock_at(dir_fd_.get(), ".lease", /*wait=*/true, /*shared=*/true);
}

Result<std::optional<UniqueFd>> ImageLayout::try_exclusive() const {
  auto lock = lock_at(dir_fd_.get(), ".lease", /*wait=*/false);
  if (!lock && lock.error().code() == Errc::already_exists) return std::optional<UniqueFd>();
  return std::optional<UniqueFd>(TRY(std::move(lock)));
}

}  // namespace locald::oci
