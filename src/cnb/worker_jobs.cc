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
#include "cnb/export/export_job.h"
#include "cnb/export/launcher_facts.h"
#include "cnb/export/previous_image.h"
#include "cnb/export/published_image.h"
#include "cnb/source/source_index.h"
#include "cnb/source/staging.h"
#include "cnb/store/app_folder.h"
#include "runtime/worker.h"

namespace locald::cnb {
namespace {

using Progress = std::function<void(Json)>;

/// Copies the source into the spare folder, or what has changed of it, and gives the folder to the
/// build.
Result<Json> stage(const Json& job, const AppFolder& app) {
  const std::string top = app.path() + "/";
  const std::string want_file = top + TRY(job.get_string("want"));
  const std::string have_file = top + TRY(job.get_string("have"));
  const std::string spare = TRY(job.get_string("spare"));
  const std::string workspace = TRY(job.get_string_or("workspace", ""));
  auto want = SourceIndex::load(want_file);
  if (!want) return Error(Errc::corrupt, want_file + " cannot be read");
  const auto have = SourceIndex::load(have_file);
  // Until the copy is whole again, nothing says that it is one.
  if (::unlink(have_file.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove " + have_file);
  const JudgedPath source =
      TRY(JudgedPath::of(TRY(runtime::handed_file(job)), TRY(job.get_string("source"))));
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
  return Json::object(
      {{"changed", staged.changed}, {"copied", staged.copied}, {"bytes", staged.bytes}});
}

Result<void> make_files(const Json& job, const AppFolder& app) {
  for (const std::string& path : job["folders"].as_strings()) {
    TRY(app.clear_way(path));
    TRY(app.own_dir(path, name_of(path) == "tmp" ? 01777 : 0755));
  }
  for (const Json& file : job["files"].as_array()) {
    const std::string path = TRY(file.get_string("path"));
    TRY(app.clear_way(parent_of(path)));
    TRY(app.own_file(path, file["text"].as_string()));
  }
  return {};
}

Result<Json> files(const Json& job, const Progress&) {
  TRY(make_files(job, TRY(AppFolder::open(job))));
  return Json::object();
}

Result<Json> begin(const Json& job, const Progress&) {
  const AppFolder app = TRY(AppFolder::open(job));
  TRY(make_files(job, app));
  if (const std::string& previous = job["previous"].as_string(); !previous.empty()) {
    TRY(app.clear_way(previous));
    TRY(thin_previous_image(app, previous));
  }
  return stage(job, app);
}

/// Copies for the next build: of the source, and of cached layers. What cannot be copied is not;
/// the build will do it.
Result<Json> spare(const Json& job, const Progress&) {
  const AppFolder app = TRY(AppFolder::open(job));
  TRY(app.root_dir("spare/t"));
  const std::vector<std::string> trees = job["trees"].as_strings();
  TRY(app.thin_out("spare/t", trees));
  const UniqueFd from = TRY(app.dir("t")), to = TRY(app.dir("spare/t"));
  for (const std::string& tree : trees) {
    if (app.has("spare/t/" + tree) || !app.has("t/" + tree)) continue;
    const std::string part = "." + tree;
    TRY(app.remove("spare/t/" + part));
    if (builder::copy_tree(from.get(), tree, to.get(), part))
      TRY(app.move("spare/t/" + part, "spare/t/" + tree));
  }
  return stage(job, app);
}

/// Adds what stands at and below `path` to `paths`, unless `known` has it.
Result<void> add_unknown(int parent, const std::string& path,
                         const std::set<std::string_view>& known, Json& paths) {
  if (!known.contains(path)) {
    struct stat st {};
    if (::fstatat(parent, name_of(path).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) paths.push(path);
    return {};  // its content is not news either
  }
  const auto dir = sys::openat(parent, name_of(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return {};  // no folder
  return list_dir(dir->get(), [&](const std::string& name, unsigned char) {
    return add_unknown(dir->get(), path + "/" + name, known, paths);
  });
}

Result<Json> written(const Json& job, const Progress&) {
  const AppFolder app = TRY(AppFolder::open(job));
  const std::string want_file = app.path() + "/" + TRY(job.get_string("want"));
  const auto want = SourceIndex::load(want_file);
  if (!want) return Error(Errc::corrupt, want_file + " cannot be read");
  std::set<std::string_view> known;
  for (const SourceEntry& entry : want->entries) known.insert(entry.path);
  const std::string workspace = TRY(job.get_string("workspace"));
  Json paths = Json::array();
  for (const std::string& folder : job["folders"].as_strings()) {
    const std::string above = parent_of(folder);
    const auto dir = app.dir(workspace + (above.empty() ? "" : "/" + above));
    if (dir) TRY(add_unknown(dir->get(), folder, known, paths));
  }
  return Json::object({{"paths", std::move(paths)}});
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

Result<Json> usage(const Json& job, const Progress&) {
  std::set<ino_t> seen;
  std::uint64_t bytes = 0;
  TRY(add_usage(AT_FDCWD, TRY(job.get_string("path")), seen, bytes));
  return Json::object({{"bytes", bytes}});
}

}  // namespace

runtime::WorkerHandler find_worker_job(const std::string& op) {
  static const std::pair<const char*, Result<Json> (*)(const Json&, const Progress&)> table[] = {
      {"cnb_begin", begin},
      {"cnb_files", files},
      {"cnb_restore", restore_job},
      {"cnb_commit", commit_job},
      {"cnb_written", written},
      {"cnb_spare", spare},
      {"cnb_export", export_job},
      {"cnb_check_layout", check_layout_job},
      {"cnb_layout_config", layout_config_job},
      {"cnb_usage", usage},
      {"cnb_buildpack_folder", buildpack_folder_job},
      {"cnb_buildpack_archive", buildpack_archive_job},
      {"cnb_buildpack_url", buildpack_url_job},
      {"cnb_buildpack_script", buildpack_script_job},
      {"cnb_buildpack_hide", buildpack_hide_job}};
  for (const auto& [name, handler] : table)
    if (op == name) return handler;
  return {};
}

}  // namespace locald::cnb
