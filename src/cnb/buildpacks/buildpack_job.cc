#include "cnb/buildpacks/buildpack_job.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "base/sys/file_stamp.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cnb/buildpacks/buildpack_archive.h"
#include "cnb/buildpacks/buildpack_jobs.h"
#include "cnb/buildpacks/buildpack_store.h"
#include "cnb/buildpacks/buildpack_tree.h"
#include "cnb/buildpacks/download.h"
#include "cnb/source/source_index.h"
#include "cnb/source/staging.h"
#include "cnb/store/app_folder.h"
#include "oci/ref/digest.h"
#include "oci/registry/url.h"
#include "runtime/worker.h"

namespace locald::cnb {
namespace {

using Progress = std::function<void(Json)>;

std::string stamp_of(const struct stat& st) {
  std::string out = std::to_string(st.st_dev);
  for (const std::int64_t part :
       {static_cast<std::int64_t>(st.st_ino), static_cast<std::int64_t>(st.st_size),
        sys::nanoseconds(st.st_mtim), sys::nanoseconds(st.st_ctim)})
    out += "-" + std::to_string(part);
  return out;
}

/// Unlike file_stamp() also of a file that has just been written.
std::string stamp_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? stamp_of(st) : std::string();
}

template <class J>
Result<BuildpackTree> begin(const J& job) {
  return BuildpackTree::begin(job.store, job.world.id_map);
}

Result<std::string> hash_of(int fd) {
  oci::Sha256 sha;
  std::vector<std::byte> buffer(1u << 20);
  off_t offset = 0;
  while (true) {
    const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read the archive");
    if (n == 0) return std::move(sha).finish().hex();
    sha.update({buffer.data(), static_cast<std::size_t>(n)});
    offset += n;
  }
}

/// Unpacks what is in `fd`, the file `path`, unless it is there already. @return its key.
/// @param own  Nobody else has the file.
template <class J>
Result<std::string> take_archive(const J& job, int fd, const std::string& path, bool own,
                                 BuildpackTree& tree) {
  const std::string before = stamp_of(path);
  const bool tells = own || !file_stamp(fd).empty();
  const std::string hash = TRY(hash_of(fd));
  const std::string key = buildpack_key("archive", job.world.id_map, hash);
  if (BuildpackStore(job.store).find(key)) return key;
  auto modules = TRY(unpack_buildpacks(fd, path, job.world.images, tree));
  // What is kept under this key is never looked at again.
  if (stamp_of(path) != before || (!tells && TRY(hash_of(fd)) != hash))
    return Error(Errc::failed, "it changes while it is read").with_hint("build again");
  TRY(tree.commit(key, std::move(modules), "archive", /*durable=*/true));
  return key;
}

}  // namespace

std::string file_stamp(int fd) {
  struct stat st {};
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return {};
  return is_settled(sys::nanoseconds(st.st_ctim), sys::nanoseconds(now)) ? stamp_of(st)
                                                                         : std::string();
}

Result<Json> buildpack_folder_job(const Json& json, const Progress&) {
  const auto job = TRY(decode<BuildpackFolderJob>(json));
  const auto index = SourceIndex::load(job.index);
  if (!index) return Error(Errc::corrupt, job.index + " cannot be read");
  BuildpackTree tree = TRY(begin(job));
  const JudgedPath source = TRY(JudgedPath::of(TRY(runtime::handed_file(json)), job.folder));
  const Staged staged = TRY(stage_source(source, *index, nullptr, tree.raw_path(), 0, 0));
  if (!staged.changed.empty()) return encode(BuildpackResult{.changed = staged.changed});
  const Module module = TRY(tree.place(""));
  TRY(tree.commit(job.key, {module}, "folder", /*durable=*/false));
  return Json::object();
}

Result<Json> buildpack_archive_job(const Json& json, const Progress&) {
  const auto job = TRY(decode<BuildpackArchiveJob>(json));
  const JudgedPath file = TRY(JudgedPath::of(TRY(runtime::handed_file(json)), job.path));
  const UniqueFd fd = TRY(file.reopen(O_RDONLY));
  // For those who open it once more: that very file.
  const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
  const std::string stamp = file_stamp(fd.get());
  BuildpackTree tree = TRY(begin(job));
  const std::string key = TRY(take_archive(job, fd.get(), path, /*own=*/false, tree));
  // Written to while it was read: the key is of what was read, but the stamp would lie.
  return encode(BuildpackResult{.key = key, .stamp = file_stamp(fd.get()) == stamp ? stamp : ""});
}

Result<Json> buildpack_url_job(const Json& json, const Progress& progress) {
  const auto job = TRY(decode<BuildpackUrlJob>(json));
  BuildpackTree tree = TRY(begin(job));
  const UniqueFd file = TRY(tree.scratch_file("download"));
  Download what{.url = TRY(oci::Url::parse(job.url)), .etag = job.etag};
  std::uint64_t told = 0;
  what.progress = [&](std::uint64_t done, std::uint64_t total) {
    constexpr std::uint64_t kTellEvery = 1u << 20;
    if (done - told < kTellEvery && done != total) return;
    told = done;
    progress(Json::object({{"done", done}, {"total", total}}));
  };
  const Downloaded got = TRY(download(what, file.get()));
  if (got.not_modified) return encode(BuildpackResult{.not_modified = true});
  const std::string key =
      TRY(take_archive(job, file.get(), tree.scratch_path("download"), /*own=*/true, tree));
  return encode(BuildpackResult{.key = key, .etag = got.etag});
}

Result<Json> buildpack_script_job(const Json& json, const Progress&) {
  const auto job = TRY(decode<BuildpackScriptJob>(json));
  BuildpackTree tree = TRY(begin(job));
  for (const auto& [path, text] : job.files) {
    UniqueFd dir = TRY(sys::openat(tree.raw(), ".", O_RDONLY | O_DIRECTORY));
    if (const std::string above = parent_of(path); !above.empty()) {
      TRY(sys::mkdirat(tree.raw(), above, 0755));
      dir = TRY(sys::openat(tree.raw(), above, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    }
    const UniqueFd file =
        TRY(sys::openat(dir.get(), name_of(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
    TRY(sys::write_all(file.get(), text).context(path));
  }
  const Module module = TRY(tree.place(""));
  TRY(tree.commit(job.key, {module}, "script", /*durable=*/false));
  return Json::object();
}

Result<Json> buildpack_hide_job(const Json& json, const Progress&) {
  const auto job = TRY(decode<BuildpackHideJob>(json));
  BuildpackTree tree = TRY(begin(job));
  for (const std::vector<std::string>& names : job.buildpacks) {
    if (names.size() != 2) return Error(Errc::invalid_input, "no id and version");
    TRY(tree.hide(names[0], names[1]));
  }
  TRY(tree.commit(job.key, {}, "hide", /*durable=*/false));
  return Json::object();
}

}  // namespace locald::cnb
