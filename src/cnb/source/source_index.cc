#include "cnb/source/source_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cnb/source/path_filter.h"

namespace locald::cnb {
namespace {

constexpr std::string_view kMagic = "locald source index 1\n";
constexpr std::size_t kMaxEntries = 1'000'000;
constexpr int kMaxNesting = 256;
constexpr std::uint64_t kSmall = 1u << 20;  // bytes: up to there holes are not looked for
constexpr std::size_t kMaxIndexFile = 512u << 20;
std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return sys::nanoseconds(now);
}

/// A file's bytes into a hash.
class FileHash {
 public:
  FileHash(int file, const std::stop_token& stop, std::uint64_t& read_bytes)
      : file_(file), stop_(stop), read_bytes_(read_bytes) {}

  /// From where the file stands, to `end` or (-1) the file's end.
  Result<void> range(off_t end) {
    std::array<std::byte, 262144> buffer;
    off_t left = end < 0 ? std::numeric_limits<off_t>::max() : end - ::lseek(file_, 0, SEEK_CUR);
    while (left > 0) {
      const std::size_t n = TRY(sys::read_some(
          file_, buffer.data(), std::min(buffer.size(), static_cast<std::size_t>(left))));
      if (n == 0) break;
      if (stop_.stop_requested()) return Error(Errc::cancelled, "cancelled");
      sha_.update({buffer.data(), n});
      read_bytes_ += n;
      left -= static_cast<off_t>(n);
    }
    return {};
  }

  Result<void> extents(off_t size) {
    const auto place = [&](off_t at) {
      const std::string text = std::to_string(at) + "\n";
      sha_.update(std::as_bytes(std::span(text)));
    };
    for (off_t at = 0; at < size;) {
      const off_t data = ::lseek(file_, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;
      if (data < 0) return Error::from_errno(errno, "seek");
      const off_t hole = ::lseek(file_, data, SEEK_HOLE);
      if (hole < 0) return Error::from_errno(errno, "seek");
      place(data);
      place(hole);
      if (::lseek(file_, data, SEEK_SET) < 0) return Error::from_errno(errno, "seek");
      TRY(range(hole));
      at = hole;
    }
    place(size);
    return {};
  }

  std::string finish() { return std::move(sha_).finish().hex(); }

 private:
  int file_;
  const std::stop_token& stop_;
  std::uint64_t& read_bytes_;
  oci::Sha256 sha_;
};

class Scanner {
 public:
  Scanner(const PathFilter& filter, const SourceIndex* known, const std::stop_token& stop,
          const ScanWords& words)
      : filter_(filter), stop_(stop), words_(words) {
    if (known == nullptr) return;
    known_index_ = known;
    known_.reserve(known->entries.size());
    for (const SourceEntry& entry : known->entries) known_.emplace(entry.path, &entry);
  }

  Result<SourceIndex> run(const JudgedPath& folder) {
    index_.taken_ns = now_ns();
    const UniqueFd top = TRY(folder.reopen(O_RDONLY | O_DIRECTORY));
    TRY(walk(top.get(), "", 0));
    std::sort(index_.entries.begin(), index_.entries.end(),
              [](const SourceEntry& a, const SourceEntry& b) { return a.path < b.path; });
    std::sort(index_.skipped.begin(), index_.skipped.end());
    index_.as_known = !differs_ && index_.entries.size() == known_.size();
    return std::move(index_);
  }

 private:
  /// @param prefix  "" or "a/b/".
  Result<void> walk(int dir, const std::string& prefix, int depth) {
    if (stop_.stop_requested()) return Error(Errc::cancelled, "cancelled");
    if (depth > kMaxNesting)
      return Error(Errc::invalid_input,
                   prefix + ": folders nested more than " + std::to_string(kMaxNesting) + " deep");
    return list_dir(dir, [&](const std::string& name, unsigned char) -> Result<void> {
      return visit(dir, name, prefix + name, depth);
    });
  }

  Result<void> visit(int dir, const std::string& name, const std::string& path, int depth) {
    struct stat st {};
    if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return {};  // gone since the folder was read
      return Error::from_errno(errno, path);
    }
    const bool is_folder = S_ISDIR(st.st_mode);
    const bool kept = filter_.keeps(path, is_folder);
    if (is_folder) {
      // The folder itself: where it is kept, or where something in it is.
      const std::size_t before = index_.entries.size();
      if (kept) TRY(add_folder(path, st));
      if (!filter_.may_hold(path)) return {};
      TRY(check_owner_may(st, 0500, path, "folder"));
      auto inner = sys::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (!inner) return unreadable(std::move(inner).error(), path);
      TRY(walk(inner->get(), path + "/", depth + 1));
      if (!kept && index_.entries.size() > before) TRY(add_folder(path, st));
      return {};
    }
    if (!kept) return {};
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
      index_.skipped.push_back(path);
      return {};
    }
    SourceEntry entry = entry_of(path, st);
    const SourceEntry* before = trusted(entry);
    differs_ = differs_ || before == nullptr;
    if (before != nullptr)
      entry.hash = before->hash;
    else if (entry.kind == SourceEntry::Kind::file)
      TRY(read_file_entry(dir, name, entry));
    else
      TRY(read_symlink(dir, name, entry));
    return add(std::move(entry));
  }

  static SourceEntry entry_of(const std::string& path, const struct stat& st) {
    SourceEntry entry;
    entry.path = path;
    entry.kind = S_ISDIR(st.st_mode)   ? SourceEntry::Kind::folder
                 : S_ISLNK(st.st_mode) ? SourceEntry::Kind::symlink
                                       : SourceEntry::Kind::file;
    entry.mode = st.st_mode & 07777u;
    entry.size = S_ISREG(st.st_mode) ? static_cast<std::uint64_t>(st.st_size) : 0;
    entry.mtime_ns = sys::nanoseconds(st.st_mtim);
    entry.ctime_ns = sys::nanoseconds(st.st_ctim);
    entry.inode = st.st_ino;
    return entry;
  }

  Result<void> add_folder(const std::string& path, const struct stat& st) {
    SourceEntry entry = entry_of(path, st);
    entry.mtime_ns = entry.ctime_ns = 0;  // those of a folder say nothing of what is sent
    entry.inode = 0;
    const auto before = known_.find(entry.path);
    differs_ = differs_ || before == known_.end() || !before->second->same_content(entry);
    return add(std::move(entry));
  }

  Result<void> add(SourceEntry entry) {
    if (index_.entries.size() >= kMaxEntries)
      return Error(Errc::invalid_input,
                   "more than " + std::to_string(kMaxEntries) + " files in " + words_.what)
          .with_hint(words_.way_out);
    index_.entries.push_back(std::move(entry));
    return {};
  }

  const SourceEntry* trusted(const SourceEntry& now) const {
    const auto found = known_.find(now.path);
    if (found == known_.end()) return nullptr;
    const SourceEntry& before = *found->second;
    const bool same = before.kind == now.kind && before.size == now.size &&
                      before.mtime_ns == now.mtime_ns && before.ctime_ns == now.ctime_ns &&
                      before.inode == now.inode;
    return same && known_index_->settled(now) ? &before : nullptr;
  }

  Result<void> read_file_entry(int dir, const std::string& name, SourceEntry& entry) {
    TRY(check_owner_may({.st_mode = entry.mode}, 0400, entry.path, "file"));
    auto file = sys::openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return unreadable(std::move(file).error(), entry.path);
    entry.hash = TRY(
        hash_source_file(file->get(), entry.size, stop_, index_.read_bytes).context(entry.path));
    return {};
  }

  static Result<void> read_symlink(int dir, const std::string& name, SourceEntry& entry) {
    std::array<char, 4097> target{};
    const ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size() - 1);
    if (size < 0) return Error::from_errno(errno, entry.path);
    entry.hash = oci::Digest::of({target.data(), static_cast<std::size_t>(size)}).hex();
    return {};
  }

  /// The copy belongs to the build user, who is not root: what the owner may not read it cannot
  /// either, also where root runs locald.
  Result<void> check_owner_may(const struct stat& st, mode_t bits, const std::string& path,
                               const char* what) const {
    if ((st.st_mode & bits) == bits) return {};
    return unreadable(Error(Errc::denied, std::string("the ") + what + " " + path +
                                              " is not readable for its owner"),
                      path);
  }

  Error unreadable(Error error, const std::string& path) const {
    if (error.code() != Errc::denied) return error;
    return std::move(error).with_hint("chmod u+rX " + shell_quote(path) + ", or " + words_.way_out);
  }

  const PathFilter& filter_;
  const std::stop_token& stop_;
  const ScanWords& words_;
  std::unordered_map<std::string_view, const SourceEntry*> known_;
  const SourceIndex* known_index_ = nullptr;
  bool differs_ = false;
  SourceIndex index_;
};

}  // namespace

Result<std::string> hash_source_file(int file, std::uint64_t size, const std::stop_token& stop,
                                     std::uint64_t& read_bytes) {
  struct stat st {};
  const bool sparse = size > kSmall && ::fstat(file, &st) == 0 &&
                      static_cast<std::uint64_t>(st.st_blocks) * 512 < size;
  if (::lseek(file, 0, SEEK_SET) < 0) return Error::from_errno(errno, "seek");
  FileHash hash(file, stop, read_bytes);
  TRY(sparse ? hash.extents(static_cast<off_t>(size)) : hash.range(-1));
  return hash.finish();
}

std::uint64_t SourceIndex::bytes() const {
  std::uint64_t sum = 0;
  for (const SourceEntry& entry : entries) sum += entry.size;
  return sum;
}

oci::Digest SourceIndex::digest(const std::vector<std::string>& without) const {
  oci::Sha256 sha;
  for (const SourceEntry& entry : entries) {
    const bool left_out = std::any_of(without.begin(), without.end(), [&](const auto& folder) {
      return entry.path.starts_with(folder) &&
             (entry.path.size() == folder.size() || entry.path[folder.size()] == '/');
    });
    if (left_out) continue;
    std::string record = entry.path;
    record += '\0';
    record += static_cast<char>(entry.kind);
    // Modes as a build sees them; a symlink has none of its own.
    record += entry.kind == SourceEntry::Kind::symlink ? "" : std::to_string(entry.mode);
    record += '\0';
    record += entry.hash;
    record += '\n';
    sha.update(std::as_bytes(std::span(record)));
  }
  return std::move(sha).finish();
}

Result<void> SourceIndex::save(const std::string& file) const {
  // One record a NUL: paths are any bytes but that.
  std::string text(kMagic);
  text += std::to_string(taken_ns) + "\n";
  for (const SourceEntry& e : entries) {
    text += static_cast<char>(e.kind);
    for (const std::uint64_t number :
         {std::uint64_t{e.mode}, e.size, static_cast<std::uint64_t>(e.mtime_ns),
          static_cast<std::uint64_t>(e.ctime_ns), e.inode})
      text += " " + std::to_string(number);
    text += " " + (e.hash.empty() ? "-" : e.hash) + " " + e.path;
    text += '\0';
  }
  return write_file_atomic(file, text);
}

std::optional<SourceIndex> SourceIndex::load(const std::string& file) {
  const auto text = read_file(file, kMaxIndexFile);
  if (!text || !text->starts_with(kMagic)) return std::nullopt;
  std::string_view rest = std::string_view(*text).substr(kMagic.size());
  const auto word = [&](char end) -> std::optional<std::string_view> {
    const std::size_t at = rest.find(end);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view found = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    return found;
  };
  SourceIndex index;
  const auto taken = word('\n');
  const auto taken_number = taken ? parse_u64(*taken) : std::nullopt;
  if (!taken_number) return std::nullopt;
  index.taken_ns = static_cast<std::int64_t>(*taken_number);
  while (!rest.empty()) {
    SourceEntry e;
    const auto kind = word(' ');
    if (!kind || kind->size() != 1 || std::string_view("dfl").find(*kind) == std::string_view::npos)
      return std::nullopt;
    e.kind = static_cast<SourceEntry::Kind>((*kind)[0]);
    std::array<std::uint64_t, 5> numbers{};
    for (std::uint64_t& number : numbers) {
      const auto digits = word(' ');
      const auto value = digits ? parse_u64(*digits) : std::nullopt;
      if (!value) return std::nullopt;
      number = *value;
    }
    e.mode = static_cast<std::uint32_t>(numbers[0]);
    e.size = numbers[1];
    e.mtime_ns = static_cast<std::int64_t>(numbers[2]);
    e.ctime_ns = static_cast<std::int64_t>(numbers[3]);
    e.inode = numbers[4];
    const auto hash = word(' ');
    const auto path = word('\0');
    if (!hash || !path || path->empty()) return std::nullopt;
    if (*hash != "-") e.hash = *hash;
    e.path = *path;
    index.entries.push_back(std::move(e));
  }
  return index;
}

Result<SourceIndex> scan_source(const JudgedPath& folder, const PathFilter& filter,
                                const SourceIndex* known, const std::stop_token& stop,
                                const ScanWords& words) {
  return Scanner(filter, known, stop, words)
      .run(folder)
      .context("read " + words.what + " " + folder.path);
}

}  // namespace locald::cnb
