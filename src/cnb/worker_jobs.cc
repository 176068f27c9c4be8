#include "cnb/worker_jobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/tree_copy.h"
#include "cnb/build/commit_job.h"
#include "cnb/build/restore_job.h"
#include "cnb/buildpacks/buildpack_job.h"
#include "cnb/buildpacks/buildpack_jobs.h"
#include "cnb/export/export_job.h"
#include "cnb/export/launcher_facts.h"
#include "cnb/export/previous_image.h"
#include "cnb/export/published_image.h"
#include "cnb/jobs.h"
#include "cnb/source/source_index.h"
#include "cnb/source/staging.h"
#include "cnb/store/app_folder.h"
#include "runtime/worker.h"

namespace locald::cnb {
namespace {

using Progress = std::function<void(Json)>;

/// Copies the source into the spare folder, or what has changed of it, and gives the folder to the
/// build.
/// @param workspace  Where the whole copy is moved to; empty: it stays.
Result<Json> stage(const Json& job, const JobStaging& staging, const std::string& workspace,
                   const AppFolder& app) {
  const std::string top = app.path() + "/";
  const std::string want_file = top + staging.want, have_file = top + staging.have;
  const std::string& spare = staging.spare;
  auto want = SourceIndex::load(want_file);
  if (!want) return Error(Errc::corrupt, want_file + " cannot be read");
  const auto have = SourceIndex::load(have_file);
  // Until the copy is whole again, nothing says that it is one.
  if (::unlink(have_file.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove " + have_file);
  const JudgedPath source = TRY(JudgedPath::of(TRY(runtime::handed_file(job)), staging.source));
  const auto copy = [&](const SourceIndex* there) {
    return stage_source(source, *want, there, top + spare, app.uid(), app.gid());
  };
  auto copied = have ? copy(&*have) : Result<Staged>(Error(Errc::not_found, "no copy"));
  // A copy that is not what its index says is made again.
  if (!copied && copied.error().code() != Errc::no_space) {
    TRY(app.clear_way(spare));
    TRY(app.remove(spare));
    TRY(app.own_dir(spare));
    copied = copy(nullptr);
  }
  Staged staged = TRY(std::move(copied));
  const bool moves = !workspace.empty() && staged.changed.empty();
  if (moves) {
    TRY(app.remove(workspace));
    TRY(app.move(spare, workspace));
  } else {
    const std::set<std::string> changed(staged.changed.begin(), staged.changed.end());
    std::erase_if(want->entries,
                  [&](const SourceEntry& entry) { return changed.contains(entry.path); });
    TRY(want->save(have_file));
  }
  return encode(StagingResult{staged.changed, staged.copied, staged.bytes});
}

Result<void> make_files(const JobFiles& make, const AppFolder& app) {
  for (const std::string& path : make.folders) {
    TRY(app.clear_way(path));
    TRY(app.own_dir(path, name_of(path) == "tmp" ? 01777 : 0755));
  }
  for (const JobFile& file : make.files) {
    TRY(app.clear_way(parent_of(file.path)));
    TRY(app.own_file(file.path, file.text));
  }
  return {};
}

Result<Json> files(const Json& json, const Progress&) {
  const FilesJob job = TRY(decode<FilesJob>(json));
  TRY(make_files(job.make, TRY(AppFolder::open(job.app))));
  return Json::object();
}

Result<Json> begin(const Json& json, const Progress&) {
  const BeginJob job = TRY(decode<BeginJob>(json));
  const AppFolder app = TRY(AppFolder::open(job.app));
  TRY(make_files(job.make, app));
  if (!job.previous.empty()) {
    TRY(app.clear_way(job.previous));
    TRY(thin_previous_image(app, job.previous));
  }
  return stage(json, job.staging, job.workspace, app);
}

/// Copies for the next build: of the source, and of cached layers. What cannot be copied is not;
/// the build will do it.
Result<Json> spare(const Json& json, const Progress&) {
  const SpareJob job = TRY(decode<SpareJob>(json));
  const AppFolder app = TRY(AppFolder::open(job.app));
  TRY(app.root_dir("spare/t"));
  TRY(app.thin_out("spare/t", job.trees));
  const UniqueFd from = TRY(app.dir("t")), to = TRY(app.dir("spare/t"));
  for (const std::string& tree : job.trees) {
    if (app.has("spare/t/" + tree) || !app.has("t/" + tree)) continue;
    const std::string part = "." + tree;
    TRY(app.remove("spare/t/" + part));
    if (builder::copy_tree(from.get(), tree, to.get(), part))
      TRY(app.move("spare/t/" + part, "spare/t/" + tree));
  }
  return stage(json, job.staging, /*workspace=*/"", app);
}

/// Adds what stands at and below `path` to `paths`, unless `known` has it.
Result<void> add_unknown(int parent, const std::string& path,
                         const std::set<std::string_view>& known, std::vector<std::string>& paths) {
  if (!known.contains(path)) {
    struct stat st {};
    if (::fstatat(parent, name_of(path).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
      paths.push_back(path);
    return {};  // its content is not news either
  }
  const auto dir = sys::openat(parent, name_of(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return {};  // no folder
  return list_dir(dir->get(), [&](const std::string& name, unsigned char) {
    return add_unknown(dir->get(), path + "/" + name, known, paths);
  });
}

Result<Json> written(const Json& json, const Progress&) {
  const WrittenJob job = TRY(decode<WrittenJob>(json));
  const AppFolder app = TRY(AppFolder::open(job.app));
  const std::string want_file = app.path() + "/" + job.want;
  const auto want = SourceIndex::load(want_file);
  if (!want) return Error(Errc::corrupt, want_file + " cannot be read");
  std::set<std::string_view> known;
  for (const SourceEntry& entry : want->entries) known.insert(entry.path);
  WrittenResult out;
  for (const std::string& folder : job.folders) {
    const std::string above = parent_of(folder);
    const auto dir = app.dir(job.workspace + (above.empty() ? "" : "/" + above));
    if (dir) TRY(add_unknown(dir->get(), folder, known, out.paths));
  }
  return encode(out);
}

/// What a tree takes on disk, in bytes; an inode with several names counts once.
Result<void> add_usage(int parent, const std::string& name, std::set<ino_t>& seen,
                       std::uint64_t& bytes) {
  struct stat st {};
  if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Result<void>() : Error::from_errno(errno, name);
  if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !seen.insert(st.st_ino).second) return {};
  bytes += static_cast<std::uint64_t>(st.st_blocks) * 512;
  if (!S_ISDIR(st.st_mode)) return {};
  const auto dir = sys::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return {};  // gone, or too deep for as many descriptors: then it is not counted
  return list_dir(dir->get(), [&](const std::string& inner, unsigned char) {
    return add_usage(dir->get(), inner, seen, bytes);
  });
}

Result<Json> usage(const Json& json, const Progress&) {
  const UsageJob job = TRY(decode<UsageJob>(json));
  std::set<ino_t> seen;
  UsageResult out;
  TRY(add_usage(AT_FDCWD, job.path, seen, out.bytes));
  return encode(out);
}

}  // namespace

runtime::WorkerHandler find_worker_job(const std::string& op) {
  static const std::pair<const char*, Result<Json> (*)(const Json&, const Progress&)> table[] = {
      {BeginJob::kOp, begin},
      {FilesJob::kOp, files},
      {RestoreJob::kOp, restore_job},
      {CommitJob::kOp, commit_job},
      {WrittenJob::kOp, written},
      {SpareJob::kOp, spare},
      {ExportJob::kOp, export_job},
      {CheckLayoutJob::kOp, check_layout_job},
      {LayoutConfigJob::kOp, layout_config_job},
      {UsageJob::kOp, usage},
      {BuildpackFolderJob::kOp, buildpack_folder_job},
      {BuildpackArchiveJob::kOp, buildpack_archive_job},
      {BuildpackUrlJob::kOp, buildpack_url_job},
      {BuildpackScriptJob::kOp, buildpack_script_job},
      {BuildpackHideJob::kOp, buildpack_hide_job}};
  for (const auto& [name, handler] : table)
    if (op == name) return handler;
  return {};
}

}  // namespace locald::cnb
