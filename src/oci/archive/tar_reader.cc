#include "oci/archive/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

namespace locald::oci {
namespace {

/// chown's "leave as it is"; never an owner.
constexpr std::int64_t kMaxId = 0xfffffffe;

TarEntry::Type type_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return TarEntry::Type::hardlink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return TarEntry::Type::file;
    case AE_IFDIR:
      return TarEntry::Type::dir;
    case AE_IFLNK:
      return TarEntry::Type::symlink;
    case AE_IFIFO:
      return TarEntry::Type::fifo;
    case AE_IFCHR:
      return TarEntry::Type::char_device;
    case AE_IFBLK:
      return TarEntry::Type::block_device;
    default:
      return TarEntry::Type::other;
  }
}

timespec mtime_of(archive_entry* entry) {
  timespec time{archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
  if (time.tv_sec < 0 && time.tv_nsec > 0) {
    // libarchive negates the seconds and leaves the fraction: "-1.5" is {-1, +.5}.
    time.tv_sec -= 1;
    time.tv_nsec = 1'000'000'000 - time.tv_nsec;
  }
  return time;
}

/// True for a warning that says nothing about what the archive holds. In the C locale every name
/// that is not ASCII gets one from PAX headers, its bytes unharmed; user names and ACL texts are
/// not used at all.
bool harmless(std::string_view warning) {
  return warning.find("can't be converted") != std::string_view::npos ||
         warning.find("SCHILY.acl") != std::string_view::npos;
}

}  // namespace

struct TarReader::Archive {
  Archive(ByteSource& from, const LayerLimits& with)
      : source(from), limits(with), handle(archive_read_new()) {}
  ~Archive() { archive_read_free(handle); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  static la_ssize_t on_read(archive* /*handle*/, void* self_ptr, const void** buffer) {
    auto* self = static_cast<Archive*>(self_ptr);
    auto bytes = self->source.read();
    if (!bytes) {
      self->source_error = std::move(bytes).error();
      return -1;
    }
    *buffer = bytes->data();
    return static_cast<la_ssize_t>(bytes->size());
  }

  Result<void> open() {
    opened = true;
    if (handle == nullptr) return Error(Errc::failed, "cannot start libarchive: no memory");
    archive_read_support_format_tar(handle);
    archive_read_support_format_empty(handle);  // a layer of no bytes is a layer without entries
    if (archive_read_open(handle, this, nullptr, on_read, nullptr) != ARCHIVE_OK) return failure();
    return {};
  }

  Error failure() {
    if (source_error) return *source_error;
    const char* text = handle != nullptr ? archive_error_string(handle) : nullptr;
    return {Errc::corrupt,
            std::string("the tar is damaged: ") + (text != nullptr ? text : "unknown error")};
  }

  Result<void> drain() {
    ended = true;
    while (!TRY(source.read()).empty()) {
    }
    return {};
  }

  Result<void> read_xattrs(archive_entry* from, TarEntry& entry) {
    entry.xattrs.clear();
    if (archive_entry_xattr_reset(from) == 0) return {};
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    std::size_t total = 0;
    while (archive_entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK) {
      total += std::strlen(name) + size;
      if (size > limits.max_xattr_bytes || total > limits.max_entry_xattr_bytes)
        return Error(Errc::invalid_input, entry.path + ": its extended attributes are too large");
      // The list is in reverse order: what comes first here came last in the archive.
      const bool known = std::any_of(entry.xattrs.begin(), entry.xattrs.end(),
                                     [name](const TarEntry::Xattr& x) { return x.name == name; });
      if (!known)
        entry.xattrs.push_back({name, std::string(static_cast<const char*>(value), size)});
    }
    return {};
  }

  Result<void> convert(archive_entry* from, TarEntry& entry) {
    entry.type = type_of(from);
    const char* path = archive_entry_pathname(from);
    entry.path.assign(path != nullptr ? path : "");
    if (entry.path.size() > limits.max_path_bytes)
      return Error(Errc::invalid_input, entry.path.substr(0, 80) + "…: the name is longer than " +
                                            std::to_string(limits.max_path_bytes) + " bytes");
    const char* link = entry.type == TarEntry::Type::hardlink  ? archive_entry_hardlink(from)
                       : entry.type == TarEntry::Type::symlink ? archive_entry_symlink(from)
                                                               : nullptr;
    entry.link.assign(link != nullptr ? link : "");
    if (entry.link.size() > limits.max_link_bytes)
      return Error(Errc::invalid_input, entry.path + ": the link's target is longer than " +
                                            std::to_string(limits.max_link_bytes) + " bytes");
    const std::int64_t size = archive_entry_size(from);
    if (size < 0) return Error(Errc::corrupt, entry.path + ": negative size");
    entry.size = entry.type == TarEntry::Type::file ? static_cast<std::uint64_t>(size) : 0;
    const std::int64_t uid = archive_entry_uid(from);
    const std::int64_t gid = archive_entry_gid(from);
    if (uid < 0 || uid > kMaxId || gid < 0 || gid > kMaxId)
      return Error(Errc::invalid_input, entry.path + ": owner " + std::to_string(uid) + ":" +
                                            std::to_string(gid) + " is not a user and group id");
    entry.uid = static_cast<std::uint32_t>(uid);
    entry.gid = static_cast<std::uint32_t>(gid);
    entry.mode = archive_entry_perm(from) & 07777;
    entry.mtime = mtime_of(from);
    entry.dev_major = entry.dev_minor = 0;
    if (entry.type == TarEntry::Type::char_device || entry.type == TarEntry::Type::block_device) {
      const auto major = static_cast<std::uint64_t>(archive_entry_rdevmajor(from));
      const auto minor = static_cast<std::uint64_t>(archive_entry_rdevminor(from));
      constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
      if (major > kMax || minor > kMax)
        return Error(Errc::invalid_input, entry.path + ": device number out of range");
      entry.dev_major = static_cast<std::uint32_t>(major);
      entry.dev_minor = static_cast<std::uint32_t>(minor);
    }
    return read_xattrs(from, entry);
  }

  ByteSource& source;
  const LayerLimits limits;
  archive* handle;
  std::optional<Error> source_error;
  std::uint64_t entries = 0;
  std::uint32_t extents = 0;  // of the present entry
  std::uint64_t next_offset = 0;
  bool opened = false;
  bool ended = false;
};

TarReader::TarReader(ByteSource& source, const LayerLimits& limits)
    : archive_(std::make_unique<Archive>(source, limits)) {}

TarReader::~TarReader() = default;

Result<bool> TarReader::next(TarEntry& entry) {
  Archive& a = *archive_;
  if (a.ended) return false;
  if (!a.opened) TRY(a.open());
  archive_entry* from = nullptr;
  const int code = archive_read_next_header(a.handle, &from);
  if (code == ARCHIVE_EOF) {
    TRY(a.drain());
    return false;
  }
  if (a.source_error) return *a.source_error;
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return a.failure();
  if (code == ARCHIVE_WARN) {
    const char* text = archive_error_string(a.handle);
    if (text == nullptr || !harmless(text)) return a.failure();
  }
  if (++a.entries > a.limits.max_entries)
    return Error(Errc::invalid_input,
                 "the layer has more than " + std::to_string(a.limits.max_entries) + " entries");
  a.extents = 0;
  a.next_offset = 0;
  TRY(a.convert(from, entry));
  return true;
}

Result<std::optional<TarReader::Block>> TarReader::data() {
  Archive& a = *archive_;
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  while (true) {
    const int code = archive_read_data_block(a.handle, &bytes, &size, &offset);
    if (code == ARCHIVE_EOF) return std::optional<Block>();
    if (code != ARCHIVE_OK) return a.failure();
    if (size == 0) continue;
    if (offset < 0 || static_cast<std::uint64_t>(offset) < a.next_offset)
      return Error(Errc::corrupt, "the tar is damaged: a sparse file's pieces overlap");
    const auto at = static_cast<std::uint64_t>(offset);
    if (at != a.next_offset && ++a.extents > a.limits.max_sparse_extents)
      return Error(
          Errc::invalid_input,
          "a sparse file has more than " + std::to_string(a.limits.max_sparse_extents) + " pieces");
    a.next_offset = at + size;
    return std::optional<Block>(Block{{static_cast<const std::byte*>(bytes), size}, at});
  }
}

}  // namespace locald::oci
