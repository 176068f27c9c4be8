#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/paths.h"
#include "base/result.h"
#include "base/sys/file_id.h"
#include "base/sys/unique_fd.h"

namespace locald {

/// A folder in which something that is not trusted exchanges files, folders and links at any time:
/// a container, which has it mounted writable.
struct SharedFolder {
  std::string path;  ///< absolute, as it was asked for
  std::string by;    ///< who, for people: "service web of project shop"
  /// What a container that runs has mounted: that folder, wherever it is by now, and what is at
  /// `path` only where it is the same. Without: what is at `path` when it is looked at.
  std::optional<FileId> id = std::nullopt;

  friend bool operator==(const SharedFolder&, const SharedFolder&) = default;
};

/// All of them, of every owner. Thread-safe.
class SharedFolders {
 public:
  /// What `owner` (any text that names it) has now, instead of what it had. None: forgotten.
  void set(const std::string& owner, std::vector<SharedFolder> folders);
  std::vector<SharedFolder> all() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<SharedFolder>> folders_;
};

/// Something on the host that a path led to and that was found fit for its use. The descriptor
/// stands for it: use it, never the path again (R-FD).
struct JudgedPath {
  UniqueFd fd;       ///< O_PATH
  std::string path;  ///< as it was gone, without links
  struct stat st {};

  /// What is open as `fd`, without a judgement: handed over by one who has judged it.
  static Result<JudgedPath> of(UniqueFd fd, std::string path);

  bool is_folder() const noexcept { return S_ISDIR(st.st_mode); }
  /// To read it: a file or folder opened by that descriptor. A FIFO does not block.
  Result<UniqueFd> reopen(int flags) const;
  /// A regular file's content. @return Errc::invalid_input for anything else, or where it is
  /// longer.
  Result<std::string> read(std::size_t max_bytes) const;
};

/// Opens what the user names on the host (binds, env files, working folders, sources of builds)
/// link by link, and judges each step by what was opened, not by its name:
///
/// - locald's own folders (run, state, store) are not to be had, by whichever mount;
/// - symlinks are followed, except in or below a folder that is shared, or that another uid can
///   write to (neither root's nor the user's, or writable for a group or for all; a sticky folder
///   counts where the link belongs to another): there they are nobody's word.
///
/// Cheap to make; reads what it needs at the first open(). One thread at a time.
class PathJudge {
 public:
  enum class Use : std::uint8_t {
    look,   ///< read, entered: may hold folders of locald, not lie in one
    share,  ///< given to others with all below it: may not hold one either
  };
  PathJudge(const Paths& paths, std::vector<SharedFolder> shared);
  PathJudge(PathJudge&&) noexcept;
  PathJudge& operator=(PathJudge&&) noexcept;
  ~PathJudge();

  /// Folders beside those that are known already.
  void add_shared(SharedFolder folder);

  /// @param path  absolute.
  /// @return Errc::not_found; Errc::denied with locald's own folder, or the link and why it is
  ///         not followed. `path` stands in the message.
  Result<JudgedPath> open(const std::string& path, Use use) const;

 private:
  struct Known;
  std::vector<std::string> own_;
  std::vector<SharedFolder> shared_;
  mutable std::unique_ptr<Known> known_;  // read at the first use
};

}  // namespace locald
