#include "cnb/source/staging.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/tree_copy.h"

namespace locald::cnb {
namespace {

using Kind = SourceEntry::Kind;

constexpr const char* kChanged = "the copy changed";

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}
std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));  // npos + 1 is 0
}

/// The folders on the way to an entry, opened name by name so that no symlink leads elsewhere;
/// the last way is kept, since entries come sorted.
class Way {
 public:
  explicit Way(UniqueFd top) { open_.push_back(std::move(top)); }

  /// The folder `path` ("" is the top).
  Result<int> folder(std::string_view path) {
    if (path == last_ && !stale_) return open_.back().get();
    stale_ = true;
    const std::vector<std::string> names =
        path.empty() ? std::vector<std::string>() : split(path, '/');
    std::size_t same = 0;
    while (same < names.size() && same < names_.size() && names[same] == names_[same]) ++same;
    names_.resize(same);
    open_.resize(same + 1);
    for (std::size_t i = same; i < names.size(); ++i) {
      open_.push_back(
          TRY(sys::openat(open_.back().get(), names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW)));
      names_.push_back(names[i]);
    }
    last_ = path;
    stale_ = false;
    return open_.back().get();
  }
  int top() const { return open_.front().get(); }

 private:
  std::vector<std::string> names_;
  std::vector<UniqueFd> open_;  // one more than names: the top
  std::string last_;            // where open_ ends, unless a way was not to be had
  bool stale_ = false;
};

class Stager {
 public:
  Stager(UniqueFd source, UniqueFd target, std::uint32_t uid, std::uint32_t gid)
      : source_(std::move(source)), target_(std::move(target)), uid_(uid), gid_(gid) {}

  Result<Staged> run(const SourceIndex& want, const SourceIndex* have) {
    std::unordered_map<std::string_view, const SourceEntry*> wanted, present;
    want_ = &want;
    wanted.reserve(want.entries.size());
    for (const SourceEntry& entry : want.entries) wanted.emplace(entry.path, &entry);
    if (have != nullptr) {
      present.reserve(have->entries.size());
      std::vector<const SourceEntry*> going;
      for (const SourceEntry& entry : have->entries) {
        const auto still = wanted.find(entry.path);
        if (still != wanted.end() && keeps_place(entry, *still->second))
          present.emplace(entry.path, &entry);
        else
          going.push_back(&entry);
      }
      // All is looked at before anything is changed, for that changes folders' times.
      TRY(check_top());
      for (const SourceEntry& entry : have->entries)
        if (present.contains(entry.path)) TRY(check_kept(entry).context(entry.path));
      // What goes, goes first: a folder may come where a symlink was.
      for (const SourceEntry* entry : going) TRY(remove(*entry).context(entry->path));
    }
    for (const SourceEntry& entry : want.entries) {
      const auto there = present.find(entry.path);
      if (there != present.end() && there->second->same_content(entry)) continue;
      TRY(make(entry, there != present.end()).context(entry.path));
    }
    return finish();
  }

 private:
  /// Only a folder can change (its mode) and stay.
  static bool keeps_place(const SourceEntry& before, const SourceEntry& now) {
    return before.same_content(now) || (before.kind == Kind::folder && now.kind == Kind::folder);
  }

  /// A folder's time tells whether something came into it, or went, since it was made.
  Result<void> check_top() const {
    struct stat st {};
    if (::fstat(target_.top(), &st) != 0) return Error::from_errno(errno, "look at the copy");
    return st.st_mtim.tv_sec == kNormalTime ? Result<void>() : Error(Errc::corrupt, kChanged);
  }

  /// The copy is still as it was made, as far as a look at it tells.
  Result<void> check_kept(const SourceEntry& entry) {
    struct stat st {};
    const int dir = TRY(target_.folder(folder_of(entry.path)));
    const std::string name = name_of(entry.path);
    if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, "look at the copy");
    const bool same =
        entry.kind == Kind::folder ? S_ISDIR(st.st_mode)
        : entry.kind == Kind::symlink
            ? S_ISLNK(st.st_mode)
            : S_ISREG(st.st_mode) && static_cast<std::uint64_t>(st.st_size) == entry.size;
    if (!same || st.st_mtim.tv_sec != kNormalTime) return Error(Errc::corrupt, kChanged);
    return {};
  }

  Result<void> remove(const SourceEntry& entry) {
    const auto dir = target_.folder(folder_of(entry.path));
    if (!dir) {
      // It went with its folder.
      return dir.error().code() == Errc::not_found ? Result<void>() : Result<void>(dir.error());
    }
    TRY(remove_tree(*dir, name_of(entry.path)));
    touched_.insert(std::string(folder_of(entry.path)));
    ++staged_.removed;
    return {};
  }

  Result<void> make(const SourceEntry& entry, bool there) {
    const int dir = TRY(target_.folder(folder_of(entry.path)));
    const std::string name = name_of(entry.path);
    if (entry.kind == Kind::folder) {
      if (!there && ::mkdirat(dir, name.c_str(), 0700) != 0)
        return Error::from_errno(errno, "mkdir");
      touched_.insert(entry.path);
      if (::fchownat(dir, name.c_str(), uid_, gid_, AT_SYMLINK_NOFOLLOW) != 0)
        return Error::from_errno(errno, "chown");
      if (::fchmodat(dir, name.c_str(), entry.mode, 0) != 0)
        return Error::from_errno(errno, "chmod");
    } else if (entry.kind == Kind::symlink) {
      TRY(copy_symlink(dir, name, entry));
    } else {
      TRY(copy_file(dir, name, entry));
    }
    touched_.insert(std::string(folder_of(entry.path)));
    ++staged_.copied;
    return {};
  }

  Result<void> copy_symlink(int dir, const std::string& name, const SourceEntry& entry) {
    std::array<char, 4097> link{};
    const auto from = source_.folder(folder_of(entry.path));
    const ssize_t size =
        from ? ::readlinkat(*from, name.c_str(), link.data(), link.size() - 1) : -1;
    if (size < 0 ||
        oci::Digest::of({link.data(), static_cast<std::size_t>(size)}).hex() != entry.hash) {
      staged_.changed.push_back(entry.path);
      return {};
    }
    if (::symlinkat(link.data(), dir, name.c_str()) != 0)
      return Error::from_errno(errno, "symlink");
    if (::fchownat(dir, name.c_str(), uid_, gid_, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, "chown");
    if (::utimensat(dir, name.c_str(), kNormalTimes, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, "set times");
    return {};
  }

  static bool as_indexed(int fd, const SourceEntry& entry) {
    struct stat st {};
    return ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777u) == entry.mode &&
           static_cast<std::uint64_t>(st.st_size) == entry.size && st.st_ino == entry.inode &&
           sys::nanoseconds(st.st_mtim) == entry.mtime_ns &&
           sys::nanoseconds(st.st_ctim) == entry.ctime_ns;
  }

  /// Where times would not tell it: the content is the one that was scanned.
  Result<bool> as_hashed(int fd, const SourceEntry& entry) const {
    if (want_->settled(entry)) return true;
    std::uint64_t read_bytes = 0;
    return TRY(hash_source_file(fd, entry.size, {}, read_bytes)) == entry.hash;
  }

  Result<void> copy_file(int dir, const std::string& name, const SourceEntry& entry) {
    const auto from = source_.folder(folder_of(entry.path));
    auto in = from ? sys::openat(*from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
                   : Result<UniqueFd>(from.error());
    if (!in || !as_indexed(in->get(), entry)) {
      staged_.changed.push_back(entry.path);
      return {};
    }
    const UniqueFd out =
        TRY(sys::openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    auto copied = builder::copy_bytes(in->get(), out.get(), static_cast<off_t>(entry.size));
    if (!copied && copied.error().code() == Errc::no_space) return copied;
    // A change at that time has changed one of these.
    if (!copied || !TRY(as_hashed(in->get(), entry)) || !as_indexed(in->get(), entry)) {
      staged_.changed.push_back(entry.path);
      // No index will say that it is there, so nobody would remove it.
      if (::unlinkat(dir, name.c_str(), 0) != 0) return Error::from_errno(errno, "unlink");
      return {};
    }
    staged_.bytes += entry.size;
    if (::fchown(out.get(), uid_, gid_) != 0) return Error::from_errno(errno, "chown");
    if (::fchmod(out.get(), entry.mode) != 0) return Error::from_errno(errno, "chmod");
    if (::futimens(out.get(), kNormalTimes) != 0) return Error::from_errno(errno, "set times");
    return {};
  }

  /// Times of folders last: whatever is made in one changes them.
  Result<Staged> finish() {
    if (::fchown(target_.top(), uid_, gid_) != 0) return Error::from_errno(errno, "chown");
    if (::fchmod(target_.top(), 0755) != 0) return Error::from_errno(errno, "chmod");
    touched_.insert("");
    for (const std::string& path : touched_) {
      const auto dir = target_.folder(path);
      if (!dir && dir.error().code() == Errc::not_found) continue;  // removed again
      if (!dir) return dir.error();
      if (::futimens(*dir, kNormalTimes) != 0) return Error::from_errno(errno, "set times");
    }
    return std::move(staged_);
  }

  Way source_, target_;
  std::uint32_t uid_, gid_;
  const SourceIndex* want_ = nullptr;
  std::set<std::string> touched_;  // folders whose times are to be set
  Staged staged_;
};

}  // namespace

Result<Staged> stage_source(const JudgedPath& source, const SourceIndex& want,
                            const SourceIndex* have, const std::string& target, std::uint32_t uid,
                            std::uint32_t gid) {
  const auto work = [&]() -> Result<Staged> {
    UniqueFd from = TRY(source.reopen(O_RDONLY | O_DIRECTORY));
    UniqueFd to = TRY(sys::open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    return Stager(std::move(from), std::move(to), uid, gid).run(want, have);
  };
  return work().context("copy the source " + source.path);
}

}  // namespace locald::cnb
