#include "project/project_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "project/compose/request.h"
#include "project/compose_front/compose_front.h"
#include "project/network_check.h"
#include "project/project_check.h"
#include "project/resolve/resolve.h"
#include "project/toml/toml_front.h"
#include "project/wording.h"

namespace locald::project {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;         // bytes
constexpr std::size_t kMaxComposeFile = 4u << 20;  // bytes
constexpr std::string_view kFileName = "locald.toml";

/// The nearest file of that name; "" where there is none.
std::string find_upward(std::string dir, std::string_view name) {
  while (dir.size() > 1 && dir.ends_with("/")) dir.pop_back();
  while (true) {
    std::string path = fmt::format("{}/{}", dir == "/" ? "" : dir, name);
    if (exists(path)) return path;
    if (dir == "/" || dir.empty()) return {};
    dir.erase(dir.rfind('/'));
    if (dir.empty()) dir.push_back('/');  // not = "/": GCC 12 sees an overlap (PR 105651)
  }
}

/// What a compose project reads, by a judge who sees to it that no link is followed that a container
/// may have put there.
class JudgedFiles {
 public:
  explicit JudgedFiles(PathJudge& judge) : judge_(judge) {}

  compose::FileAccess access() {
    return {[this](const std::string& path) {
              const auto there = judge_.open(path, PathJudge::Use::look);
              if (!there && there.error().code() == Errc::not_found)
                return compose::disk_files().kind(path);
              return there && there->is_folder() ? compose::PathKind::folder
                                                 : compose::PathKind::file;
            },
            [this](const std::string& path) -> Result<std::string> {
              read_.insert(path);
              return TRY(judge_.open(path, PathJudge::Use::look)).read(kMaxComposeFile);
            }};
  }

  /// Judges again what was read, now that it is known what the project's own containers can write
  /// to: they may have done so before.
  void judge_again(const ProjectSpec& spec, Problems& problems) {
    for (const ServiceSpec& service : spec.services)
      for (const VolumeSpec& volume : service.volumes)
        if (volume.source.raw.starts_with('/') && !volume.read_only)
          judge_.add_shared({volume.source.raw, fmt::format("service {}", service.name)});
    for (const std::string& path : read_)
      if (const auto there = judge_.open(path, PathJudge::Use::look);
          !there && there.error().code() == Errc::denied)
        problems.push_back({path, {}, there.error().message(), there.error().hint()});
  }

 private:
  PathJudge& judge_;
  std::set<std::string> read_;
};

LoadedProject load_compose(const ProjectRef& ref) {
  if (!ref.judge) return compose::read_project(ref, compose::disk_files());
  JudgedFiles files(*ref.judge);
  LoadedProject out = compose::read_project(ref, files.access());
  files.judge_again(out.spec, out.problems);
  return out;
}

LoadedProject load_toml(const ProjectRef& ref, const std::string& path, std::string_view text) {
  ParsedProject parsed = parse_project_toml(text, path);
  LoadedProject out{std::move(parsed.spec), {}, false, std::move(parsed.problems), {}, {}};
  auto name = project_name(out.spec, ref.name);
  out.stays_on_host = name && ref.stays_on_host && !names_networks(out.spec) &&
                      ref.stays_on_host(*name, out.spec.dir);
  if (name)
    out.name = std::move(*name);
  else if (!ref.name.empty() || out.spec.name.empty())
    out.problems.push_back({path, out.spec.name_at, name.error().message(), name.error().hint()});
  if (!ref.file.empty()) return out;
  const auto beside = compose::find_file(ref, compose::disk_files());
  if (beside && !beside->empty() && beside->starts_with(out.spec.dir + "/"))
    out.notices.push_back(fmt::format("{} is used, and not {}; that one is for `locald -f {}`",
                                      path, *beside, *beside));
  return out;
}

Result<std::string> read_toml(const std::string& path) {
  // A FIFO in its place must not hang the server: hence the flag, and the look at what it is.
  const UniqueFd fd = TRY(sys::open(path, O_RDONLY | O_NONBLOCK));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "stat " + path);
  if (!S_ISREG(st.st_mode)) return Error(Errc::invalid_input, path + " is not a regular file");
  if (path.substr(path.rfind('/') + 1).starts_with("Procfile"))
    return Error(Errc::invalid_input, path + " is a Procfile, not TOML")
        .with_hint(fmt::format("locald init makes a {} of it, in its folder", kFileName));
  return read_all(fd.get(), kMaxFile).context(path);
}

}  // namespace

Result<std::string> find_project_file(const ProjectRef& ref) {
  if (!ref.file.empty()) {
    if (!exists(ref.file))
      return Error(Errc::not_found, fmt::format("{} does not exist", ref.file))
          .with_hint("name the project's file: -f DIR/locald.toml");
    return ref.file;
  }
  if (std::string path = find_upward(ref.dir, kFileName); !path.empty()) return path;
  if (std::string path = TRY(compose::find_file(ref, compose::disk_files())); !path.empty())
    return path;
  if (const std::string procfile = find_upward(ref.dir, "Procfile"); !procfile.empty())
    return Error(Errc::not_found, fmt::format("no {} in {} or a folder above it, but {}", kFileName,
                                              ref.dir, procfile))
        .with_hint(
            fmt::format("{}locald init makes a {} of a Procfile",
                        procfile == ref.dir + "/Procfile" ? "" : "go to its folder: ", kFileName));
  return Error(Errc::not_found,
               fmt::format("no {}, and no compose file, in {} or a folder above it", kFileName,
                           ref.dir))
      .with_hint("go to the project's folder, or name it with -C DIR or -f FILE");
}

Result<std::string> find_project_name(const ProjectRef& ref) {
  if (!ref.name.empty()) return ref.name;
  if (compose::is_compose_file(TRY(find_project_file(ref))))
    return compose::find_name(ref, compose::disk_files());
  LoadedProject loaded = TRY(load_project(ref));
  if (loaded.name.empty()) return problems_error(loaded.problems);
  return std::move(loaded.name);
}

Result<LoadedProject> load_project(const ProjectRef& ref) {
  const std::string path = TRY(find_project_file(ref));
  if (!compose::is_compose_file(path) && !ref.compose.more_files.empty())
    return Error(Errc::invalid_input,
                 fmt::format("{} is not a compose file: nothing is merged over it", path))
        .with_hint("give one -f");
  LoadedProject out = compose::is_compose_file(path) ? load_compose(ref)
                                                     : load_toml(ref, path, TRY(read_toml(path)));
  // A text that cannot be read has nothing to check.
  decide_networks(out.spec, out.stays_on_host ? NetworkUse::Mode::host : NetworkUse::Mode::project);
  if (out.problems.empty() || !out.spec.services.empty()) {
    Problems found;
    check_project(out.spec, found);
    word_for(out.spec, found);
    out.problems.insert(out.problems.end(), found.begin(), found.end());
    sort_by_place(out.problems);
    if (out.problems.size() > kMaxProblems) out.problems.resize(kMaxProblems);
  }
  return out;
}

Error problems_error(const Problems& problems) {
  // The first hint is in the text already.
  std::string text = describe(problems);
  if (problems.size() >= kMaxProblems) text += "\nand there may be more: these are the first ones";
  return Error(Errc::invalid_input, std::move(text));
}

Json problems_json(const Problems& problems) {
  Json out = Json::array();
  for (const Problem& p : problems)
    out.push(Json::object({{"file", p.file},
                           {"line", p.at.line},
                           {"column", p.at.column},
                           {"message", p.message},
                           {"hint", p.hint}}));
  return out;
}

}  // namespace locald::project
