#include "oci/store/blob_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "base/sys/file_lock.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::oci {
namespace {

constexpr std::string_view kNewBlob = "new-";

/// True if `file` is locked by us and still what `path` names.
bool lock_ours(int dir, const std::string& path, int file) {
  return ::flock(file, LOCK_EX | LOCK_NB) == 0 && still_named(file, dir, path);
}

/// Removes what writers that died have left: nobody holds its lock.
void sweep(int dir) {
  const auto ingest = sys::openat(dir, "ingest", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!ingest) return;
  (void)list_dir(ingest->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    if (!name.starts_with(kNewBlob)) return {};
    const auto file = sys::openat(ingest->get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (file && lock_ours(ingest->get(), name, file->get()))
      ::unlinkat(ingest->get(), name.c_str(), 0);
    return {};
  });
}

}  // namespace

Result<BlobWriter> BlobWriter::create(const ImageLayout& layout) {
  TRY(sys::mkdirat(layout.dir_fd(), "ingest", 0700));
  sweep(layout.dir_fd());
  while (true) {
    const std::string path = "ingest/" + std::string(kNewBlob) + random_hex(8);
    UniqueFd file =
        TRY(sys::openat(layout.dir_fd(), path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    // Another one's sweep may come between the two calls, and takes it away.
    if (lock_ours(layout.dir_fd(), path, file.get()))
      return BlobWriter(layout, path, std::move(file));
  }
}

BlobWriter::~BlobWriter() {
  if (file_) ::unlinkat(layout_->dir_fd(), path_.c_str(), 0);
}

Result<void> BlobWriter::write(std::span<const std::byte> chunk) {
  hash_.update(chunk);
  size_ += chunk.size();
  auto written =
      sys::write_all(file_.get(), {reinterpret_cast<const char*>(chunk.data()), chunk.size()});
  if (!written && written.error().code() == Errc::no_space)
    return layout_->no_space("a layer of more than " + human_bytes(size_ - chunk.size()) +
                             " does not fit");
  return std::move(written).context("write a layer");
}

Result<Descriptor> BlobWriter::commit(std::string media_type) && {
  Descriptor blob{std::move(media_type), std::move(hash_).finish(), size_};
  if (layout_->has_blob(blob)) return blob;
  if (::fsync(file_.get()) != 0) return Error::from_errno(errno, "fsync " + path_);
  const std::string to = "blobs/sha256/" + blob.digest.hex();
  if (::renameat(layout_->dir_fd(), path_.c_str(), layout_->dir_fd(), to.c_str()) != 0)
    return Error::from_errno(errno, "rename " + path_);
  file_.reset();
  const UniqueFd folder =
      TRY(sys::openat(layout_->dir_fd(), "blobs/sha256", O_RDONLY | O_DIRECTORY));
  TRY(sync_dir(folder.get()));
  return blob;
}

}  // namespace locald::oci
