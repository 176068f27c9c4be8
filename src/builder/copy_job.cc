#include "builder/copy_job.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/file_copy.h"
#include "runtime/processes.h"

namespace locald::builder {
namespace {

struct Container {
  UniqueFd root;
  CopyRules rules;  ///< for what comes into it
};

/// The second number of a line "Uid: …" of proc(5), status: the id that it acts as.
std::optional<std::uint64_t> id_of(const std::string& status, std::string_view key) {
  for (const std::string& line : split(status, '\n')) {
    if (!line.starts_with(key)) continue;
    const auto words = split(line, '\t');
    return words.size() > 2 ? parse_u64(words[2]) : std::nullopt;
  }
  return std::nullopt;
}

/// R-PID: the process is held, and lives still once its root is open.
Result<Container> enter(const CopyJob& job) {
  const UniqueFd process = TRY(runtime::open_process(job.pid, job.start_time));
  const std::string proc = "/proc/" + std::to_string(job.pid);
  Container out;
  out.root = TRY(sys::open(proc + "/root", O_PATH | O_DIRECTORY));
  const std::string status = TRY(read_file(proc + "/status"));
  pollfd ended{process.get(), POLLIN, 0};
  if (::poll(&ended, 1, 0) != 0) return Error(Errc::not_found, "the container has ended");
  const auto uid = id_of(status, "Uid:"), gid = id_of(status, "Gid:");
  constexpr std::uint64_t kNobody = 65534;  // an id without a number in this user namespace
  if (uid && gid && *uid != kNobody && *gid != kNobody)
    out.rules.owner = {static_cast<uid_t>(*uid), static_cast<gid_t>(*gid)};
  return out;
}

std::string parent_of(const std::string& path) {
  return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}
std::string last_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result<CopiedFiles> copy_out(const CopyJob& job, const Container& from, int to) {
  // By the link's target, where that is wanted; a folder's contents are behind any link.
  if (job.contents || job.inside == "/") {
    const UniqueFd folder = TRY(open_in_root(from.root.get(), job.inside, O_RDONLY | O_DIRECTORY));
    if (job.name.empty()) return copy_contents(folder.get(), to, {});
    TRY(sys::mkdirat(to, job.name, 0755));
    const UniqueFd target = TRY(sys::openat(to, job.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    return copy_contents(folder.get(), target.get(), {});
  }
  const std::string name = job.name.empty() ? last_of(job.inside) : job.name;
  std::string inside = job.inside;
  for (int links = 0; job.follow_link; ++links) {
    const UniqueFd parent = TRY(open_in_root(from.root.get(), parent_of(inside), O_PATH));
    char target[4097];
    const ssize_t size = ::readlinkat(parent.get(), last_of(inside).c_str(), target, 4096);
    if (size < 0) break;
    if (links == 40) return Error(Errc::invalid_input, "too many symbolic links");
    const std::string text(target, static_cast<std::size_t>(size));
    inside = tidy_path(text.starts_with('/') ? text : parent_of(inside) + "/" + text);
  }
  const UniqueFd parent =
      TRY(open_in_root(from.root.get(), parent_of(inside), O_PATH | O_DIRECTORY));
  return copy_entry(parent.get(), last_of(inside), to, name, {});
}

Result<CopiedFiles> copy_in(const CopyJob& job, int from, const Container& to) {
  const std::string as = job.as.empty() ? job.name : job.as;
  auto folder = open_in_root(to.root.get(), job.inside, O_RDONLY | O_DIRECTORY);
  if (folder)
    return job.name.empty() ? copy_contents(from, folder->get(), to.rules)
                            : copy_entry(from, job.name, folder->get(), as, to.rules);
  if (folder.error().code() != Errc::not_found && folder.error().sys_errno() != ENOTDIR)
    return std::move(folder).error();
  if (job.into)
    return Error(Errc::not_found, "there is no folder " + job.inside + " in the container");
  const UniqueFd parent =
      TRY(open_in_root(to.root.get(), parent_of(job.inside), O_PATH | O_DIRECTORY)
              .context("the folder of " + job.inside));
  const std::string name = last_of(job.inside);
  if (!job.name.empty()) return copy_entry(from, job.name, parent.get(), name, to.rules);
  TRY(sys::mkdirat(parent.get(), name, 0755));
  const UniqueFd made = TRY(sys::openat(parent.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (to.rules.owner && ::fchown(made.get(), to.rules.owner->first, to.rules.owner->second) != 0)
    return Error::from_errno(errno, "chown " + job.inside);
  return copy_contents(from, made.get(), to.rules);
}

}  // namespace

const Fields& CopyJob::fields() {
  static const Fields table = runtime::job_fields<CopyJob>()
                                  .required("pid", &CopyJob::pid, "")
                                  .required("start_time", &CopyJob::start_time, "")
                                  .required("inside", &CopyJob::inside, "")
                                  .field("out", &CopyJob::out, "")
                                  .field("contents", &CopyJob::contents, "")
                                  .field("into", &CopyJob::into, "")
                                  .field("follow_link", &CopyJob::follow_link, "")
                                  .field("name", &CopyJob::name, "")
                                  .field("as", &CopyJob::as, "");
  return table;
}

Result<Json> copy_job(const Json& json) {
  const CopyJob job = TRY(decode<CopyJob>(json));
  const UniqueFd host = TRY(runtime::handed_file(json));
  const Container container = TRY(enter(job));
  const CopiedFiles done =
      TRY(job.out ? copy_out(job, container, host.get()) : copy_in(job, host.get(), container));
  return Json::object(
      {{"entries", done.entries}, {"bytes", done.bytes}, {"left_out", done.left_out}});
}

}  // namespace locald::builder
