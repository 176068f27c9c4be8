#include "oci/layer/layer_apply.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "base/strings.h"
#include "base/sys/sys.h"
#include "oci/archive/decompress.h"
#include "oci/archive/read_ahead.h"
#include "oci/archive/tar_reader.h"
#include "oci/layer/layer_attributes.h"
#include "oci/layer/layer_path.h"
#include "oci/layer/layer_tree.h"

namespace locald::oci {
namespace {

/// The tar on its way to the parser: hashed, counted, told about, and stopped on request.
class Tap final : public ByteSource {
 public:
  Tap(ByteSource& inner, const ApplyOptions& options) : inner_(inner), options_(options) {}

  Result<std::span<const std::byte>> read() override {
    if (options_.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    const auto bytes = TRY(inner_.read());
    hash_.update(bytes);
    bytes_ += bytes.size();
    if (options_.progress && (bytes_ - told_ >= kTellEvery || bytes.empty())) {
      told_ = bytes_;
      options_.progress(bytes_);
    }
    return bytes;
  }

  std::uint64_t bytes() const noexcept { return bytes_; }
  Digest finish() { return std::move(hash_).finish(); }

 private:
  static constexpr std::uint64_t kTellEvery = 1u << 20;
  ByteSource& inner_;
  const ApplyOptions& options_;
  Sha256 hash_;
  std::uint64_t bytes_ = 0;
  std::uint64_t told_ = 0;
};

struct Space {
  std::uint64_t bytes = 0;
  bool of_disk = false;  ///< the disk is the limit, not the option
};

/// What the layer's files may come to.
Space logical_limit(int dir, const LayerLimits& limits) {
  struct statvfs fs {};
  if (::fstatvfs(dir, &fs) != 0) return {limits.max_logical_bytes, false};
  const std::uint64_t total = static_cast<std::uint64_t>(fs.f_blocks) * fs.f_frsize;
  const std::uint64_t free = static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
  const std::uint64_t keep = std::min(limits.keep_free_bytes, total / 20);
  const std::uint64_t space = free > keep ? free - keep : 0;
  if (total == 0 || space >= limits.max_logical_bytes) return {limits.max_logical_bytes, false};
  return {space, true};
}

class Applier {
 public:
  Applier(LayerTree::Form form, int root, const LowerLayers& lowers, const ApplyOptions& options)
      : form_(form),
        root_fd_(root),
        options_(options),
        attributes_(options, warnings_),
        tree_(form, root, lowers, options, attributes_, warnings_) {}

  Result<AppliedLayer> run(ByteSource& compressed, std::string_view media_type) {
    Decompressor inflated(compressed, media_type, options_.limits);
    ReadAhead ahead(inflated);
    Tap tap(ahead, options_);
    TarReader reader(tap, options_.limits);
    TRY(tree_.start());
    space_ = logical_limit(root_fd_, options_.limits);
    TarEntry entry;
    std::uint64_t entries = 0;
    while (TRY(reader.next(entry))) {
      if (entries++ == 0 && form_ == LayerTree::Form::overlay) tree_.root().mtime = entry.mtime;
      TRY(apply(reader, entry).context(shown(entry.path)));
    }
    if (used_aufs_links_) TRY(tree_.drop(std::string(kAufsLinks)));
    TRY(tree_.finish());
    if (!inflated.warning().empty()) warnings_.add(inflated.warning());
    AppliedLayer done{tap.finish()};
    done.bytes = tap.bytes();
    done.entries = entries;
    done.used_lowers = tree_.used_lowers();
    done.skipped_devices = skipped_devices_;
    done.warnings = std::move(warnings_).take();
    return done;
  }

 private:
  /// A name from outside as a message may hold it.
  static std::string shown(std::string_view name) {
    std::string out = name.empty() ? "(no name)" : std::string(name.substr(0, 200));
    for (char& c : out)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return out;
  }

  Result<void> apply(TarReader& reader, const TarEntry& entry) {
    const auto parts = TRY(clean_path(entry.path, options_.limits));
    if (parts.empty()) return apply_root(entry);
    const std::span folders(parts.data(), parts.size() - 1);
    const std::string& name = parts.back();
    const WhiteoutName whiteout = TRY(parse_whiteout(name));
    switch (whiteout.kind) {
      case Whiteout::none:
        break;
      case Whiteout::aufs:
        return {};
      case Whiteout::opaque:
      case Whiteout::remove: {
        LayerDir* dir = TRY(tree_.find_dir(folders));
        if (dir == nullptr) return {};  // nothing there that could be hidden
        if (whiteout.kind == Whiteout::opaque) return tree_.make_opaque(*dir);
        return tree_.whiteout(*dir, std::string(whiteout.target));
      }
    }
    if (skip(entry)) return {};
    if (folders.size() == 1 && folders[0] == kAufsLinks) used_aufs_links_ = true;
    if (entry.type == TarEntry::Type::hardlink) return apply_hardlink(entry, folders, name);
    LayerDir& dir = *TRY(tree_.parent(folders, entry.mtime));
    switch (entry.type) {
      case TarEntry::Type::dir:
        return apply_dir(entry, dir, name);
      case TarEntry::Type::file:
        return apply_file(reader, entry, dir, name);
      default:
        return apply_node(entry, dir, name);
    }
  }

  bool skip(const TarEntry& entry) {
    const bool device =
        entry.type == TarEntry::Type::char_device || entry.type == TarEntry::Type::block_device;
    if (device && options_.id_map != IdMap::root) {
      ++skipped_devices_;
      return true;
    }
    // Made as it is, it would be a whiteout that the layer did not write as one.
    if (entry.type == TarEntry::Type::char_device && entry.dev_major == 0 && entry.dev_minor == 0) {
      ++skipped_devices_;
      return true;
    }
    if (entry.type == TarEntry::Type::other) {
      warnings_.add(shown(entry.path) + ": an entry of an unknown type was left out");
      return true;
    }
    return false;
  }

  Result<void> apply_root(const TarEntry& entry) {
    if (entry.type != TarEntry::Type::dir)
      return Error(Errc::invalid_input, "the entry would replace the layer's root");
    return describe(entry, tree_.root(), /*existed=*/true);
  }

  Result<void> apply_dir(const TarEntry& entry, LayerDir& parent, const std::string& name) {
    const auto made = TRY(tree_.make_dir(parent, name));
    tree_.note_written(parent, name);
    return describe(entry, *made.dir, made.existed);
  }

  Result<void> describe(const TarEntry& entry, LayerDir& dir, bool existed) {
    const int at = TRY(tree_.fd(dir));
    if (existed) attributes_.clear_xattrs(at);
    dir.deferred_xattrs = TRY(attributes_.set_dir(at, entry));
    dir.mtime = entry.mtime;
    dir.changed = true;
    return {};
  }

  /// Calls `make(folder's descriptor)`, which returns -1 with errno EEXIST where
  /// something stands in the way; that is then removed.
  template <typename Make>
  Result<int> make_at(LayerDir& dir, const std::string& name, const char* what, Make make) {
    for (bool cleared = false;; cleared = true) {
      const int at = TRY(tree_.fd(dir));
      const int made = make(at);
      if (made >= 0) return made;
      if (errno != EEXIST || cleared) return Error::from_errno(errno, what);
      TRY(tree_.remove_conflicting(dir, name));
    }
  }

  Result<void> apply_file(TarReader& reader, const TarEntry& entry, LayerDir& dir,
                          const std::string& name) {
    if (entry.size > space_.bytes - std::min(logical_bytes_, space_.bytes)) return too_large();
    logical_bytes_ += entry.size;
    const UniqueFd file(TRY(make_at(dir, name, "create", [&name](int at) {
      return ::openat(at, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    })));
    tree_.note_written(dir, name);
    std::uint64_t end = 0;
    while (const auto block = TRY(reader.data())) {
      if (block->bytes.size() > entry.size || block->offset > entry.size - block->bytes.size())
        return Error(Errc::corrupt, "more data than the entry's size");
      TRY(write_at(file.get(), block->bytes, block->offset));
      end = block->offset + block->bytes.size();
    }
    if (end < entry.size && ::ftruncate(file.get(), static_cast<off_t>(entry.size)) != 0)
      return Error::from_errno(errno, "truncate");
    return attributes_.set_file(file.get(), entry);
  }

  static Result<void> write_at(int file, std::span<const std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Error::from_errno(errno, "write");
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Error too_large() const {
    if (space_.of_disk)
      return Error(Errc::no_space,
                   "the layer needs more than the " + human_bytes(space_.bytes) + " that are free")
          .with_hint("free space on the disk: locald image rm, locald cache prune");
    return {Errc::invalid_input,
            "the layer's files come to more than " + human_bytes(space_.bytes)};
  }

  Result<void> apply_node(const TarEntry& entry, LayerDir& dir, const std::string& name) {
    const char* at_name = name.c_str();
    if (entry.type == TarEntry::Type::symlink) {
      if (entry.link.empty()) return Error(Errc::invalid_input, "a symlink to nowhere");
      TRY(make_at(dir, name, "symlink",
                  [&](int at) { return ::symlinkat(entry.link.c_str(), at, at_name); }));
    } else if (entry.type == TarEntry::Type::fifo) {
      TRY(make_at(dir, name, "mkfifo", [&](int at) { return ::mkfifoat(at, at_name, 0600); }));
    } else {
      const mode_t type = entry.type == TarEntry::Type::char_device ? S_IFCHR : S_IFBLK;
      const dev_t device = makedev(entry.dev_major, entry.dev_minor);
      const auto made = make_at(
          dir, name, "mknod", [&](int at) { return ::mknodat(at, at_name, type | 0600u, device); });
      if (!made && made.error().sys_errno() == EPERM) {  // root without CAP_MKNOD
        ++skipped_devices_;
        return {};
      }
      if (!made) return made.error();
    }
    tree_.note_written(dir, name);
    return attributes_.set_node(TRY(tree_.fd(dir)), name, entry);
  }

  /// The entry's own metadata are not applied: they are the target's, and
  /// a link to a symlink would let them reach what it points to.
  Result<void> apply_hardlink(const TarEntry& entry, std::span<const std::string> folders,
                              const std::string& name) {
    const auto target_parts = clean_path(entry.link, options_.limits);
    if (!target_parts)
      return Error(target_parts.error()).with_context("hard link to " + shown(entry.link));
    // First the folder, then the target: making the folder may replace what is in its way.
    LayerDir& dir = *TRY(tree_.parent(folders, entry.mtime));
    const auto target =
        TRY(tree_.link_target(*target_parts).context("hard link to " + shown(entry.link)));
    if (target.dir == nullptr)
      return Error(Errc::invalid_input,
                   "hard link to " + shown(entry.link) + ", which does not exist (yet)");
    if (target.dir == &dir && target.name == name)
      return tree_.note_written(dir, name), Result<void>();  // to itself
    const std::string path = join_path(dir.path, name);
    if (target.dir->path == path || target.dir->path.starts_with(path + "/"))
      return Error(Errc::invalid_input,
                   "the hard link would replace the folder that holds its target");
    TRY(make_at(dir, name, "link", [&](int at) {
      const auto from = tree_.fd(*target.dir);
      if (!from) return errno = from.error().sys_errno(), -1;
      return ::linkat(*from, target.name.c_str(), at, name.c_str(), 0);
    }));
    tree_.note_written(dir, name);
    return {};
  }

  const LayerTree::Form form_;
  const int root_fd_;
  const ApplyOptions& options_;
  Warnings warnings_;
  LayerAttributes attributes_;
  LayerTree tree_;
  Space space_;
  std::uint64_t logical_bytes_ = 0;
  unsigned skipped_devices_ = 0;
  bool used_aufs_links_ = false;
};

}  // namespace

Result<AppliedLayer> apply_layer_overlay(ByteSource& compressed, std::string_view media_type,
                                         int target_dir_fd, const LowerLayers& lowers,
                                         const ApplyOptions& options) {
  return Applier(LayerTree::Form::overlay, target_dir_fd, lowers, options)
      .run(compressed, media_type);
}

Result<AppliedLayer> apply_layer_flat(ByteSource& compressed, std::string_view media_type,
                                      int root_dir_fd, const ApplyOptions& options) {
  return Applier(LayerTree::Form::flat, root_dir_fd, LowerLayers{}, options)
      .run(compressed, media_type);
}

}  // namespace locald::oci
