#include "server/projects/missing_folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::server {

Result<void> create_missing_folder(const std::string& path, const PathJudge& judge) {
  std::string above = path;
  std::vector<std::string> names;  // the last one first
  while (!above.empty() && !exists(above)) {
    names.push_back(above.substr(above.rfind('/') + 1));
    above.erase(above.rfind('/'));
  }
  const JudgedPath there =
      TRY(judge.open(above.empty() ? "/" : above, PathJudge::Use::look).context(path));
  UniqueFd folder = TRY(there.reopen(O_RDONLY));
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    TRY(sys::mkdirat(folder.get(), *name, 0755).context("create " + path));
    folder = TRY(sys::openat(folder.get(), *name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                     .context("create " + path));
    // As Docker makes them, whatever this server's umask is: the service may have another user.
    if (::fchmod(folder.get(), 0755) != 0) return Error::from_errno(errno, "chmod " + path);
  }
  return {};
}

}  // namespace locald::server
