#include "base/sys/judged_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/sys/sys.h"

namespace locald {
namespace {

std::string without_end(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

Result<JudgedParent> judged_parent(const PathJudge& judge, const std::string& path) {
  const std::string whole = without_end(path);
  const std::size_t slash = whole.rfind('/');
  if (slash == std::string::npos)
    return Error(Errc::invalid_input, path + ": not an absolute path");
  JudgedPath folder =
      TRY(judge.open(slash == 0 ? "/" : whole.substr(0, slash), PathJudge::Use::look));
  if (!folder.is_folder()) return Error(Errc::invalid_input, folder.path + " is not a folder");
  return JudgedParent{std::move(folder), whole.substr(slash + 1)};
}

Result<MadeFolder> make_judged_folder(const PathJudge& judge, const std::string& path,
                                      mode_t mode) {
  auto there = judge.open(path, PathJudge::Use::look);
  if (there) {
    if (!there->is_folder()) return Error(Errc::invalid_input, path + " is not a folder");
    return MadeFolder{std::move(*there), false};
  }
  const std::string whole = without_end(path);
  const std::size_t slash = whole.rfind('/');
  if (there.error().code() != Errc::not_found || slash == std::string::npos || whole == "/")
    return std::move(there).error();
  const MadeFolder above =
      TRY(make_judged_folder(judge, slash == 0 ? "/" : whole.substr(0, slash), mode));
  const std::string name = whole.substr(slash + 1);
  TRY(sys::mkdirat(above.folder.fd.get(), name, mode).context(path));
  UniqueFd made = TRY(
      sys::openat(above.folder.fd.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).context(path));
  if (::fchmod(made.get(), mode) != 0) return Error::from_errno(errno, "chmod " + path);
  const std::string base = above.folder.path == "/" ? "" : above.folder.path;
  return MadeFolder{TRY(JudgedPath::of(std::move(made), base + "/" + name)), true};
}

}  // namespace locald
