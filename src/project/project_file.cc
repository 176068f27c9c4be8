#include "project/project_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "project/network_check.h"
#include "project/project_check.h"
#include "project/resolve/resolve.h"
#include "project/toml/toml_front.h"

namespace locald::project {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;  // bytes
constexpr std::string_view kFileName = "locald.toml";

}  // namespace

Result<std::string> find_project_file(const ProjectRef& ref) {
  if (!ref.file.empty()) {
    if (!exists(ref.file))
      return Error(Errc::not_found, fmt::format("{} does not exist", ref.file))
          .with_hint("name the project's file: -f DIR/locald.toml");
    return ref.file;
  }
  std::string dir = ref.dir, procfile;
  while (dir.size() > 1 && dir.ends_with("/")) dir.pop_back();
  while (true) {
    const std::string path = fmt::format("{}/{}", dir == "/" ? "" : dir, kFileName);
    if (exists(path)) return path;
    const std::string beside = path.substr(0, path.size() - kFileName.size()) + "Procfile";
    if (procfile.empty() && exists(beside)) procfile = beside;
    if (dir == "/" || dir.empty()) break;
    dir.erase(dir.rfind('/'));
    if (dir.empty()) dir.push_back('/');  // not = "/": GCC 12 sees an overlap (PR 105651)
  }
  if (!procfile.empty())
    return Error(Errc::not_found, fmt::format("no {} in {} or a folder above it, but {}", kFileName,
                                              ref.dir, procfile))
        .with_hint(
            fmt::format("{}locald init makes a {} of a Procfile",
                        procfile == ref.dir + "/Procfile" ? "" : "go to its folder: ", kFileName));
  return Error(Errc::not_found, fmt::format("no {} in {} or a folder above it", kFileName, ref.dir))
      .with_hint("go to the project's folder, or name it with -C DIR or -f FILE");
}

Result<LoadedProject> load_project(const ProjectRef& ref) {
  const std::string path = TRY(find_project_file(ref));
  // A FIFO in its place must not hang the server: hence the flag, and the look at what it is.
  const UniqueFd fd = TRY(sys::open(path, O_RDONLY | O_NONBLOCK));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "stat " + path);
  if (!S_ISREG(st.st_mode)) return Error(Errc::invalid_input, path + " is not a regular file");
  const std::string text = TRY(read_all(fd.get(), kMaxFile).context(path));
  if (path.substr(path.rfind('/') + 1).starts_with("Procfile"))
    return Error(Errc::invalid_input, path + " is a Procfile, not TOML")
        .with_hint(fmt::format("locald init makes a {} of it, in its folder", kFileName));
  ParsedProject parsed = parse_project_toml(text, path);
  LoadedProject out{std::move(parsed.spec), {}, false, std::move(parsed.problems)};
  auto name = project_name(out.spec, ref.name);
  out.stays_on_host = name && ref.stays_on_host && !names_networks(out.spec) &&
                      ref.stays_on_host(*name, out.spec.dir);
  decide_networks(out.spec, out.stays_on_host ? NetworkUse::Mode::host : NetworkUse::Mode::project);
  // A text that is not TOML has nothing to check.
  if (out.problems.empty() || !out.spec.services.empty()) check_project(out.spec, out.problems);
  if (name)
    out.name = std::move(*name);
  else if (!ref.name.empty() || out.spec.name.empty())
    out.problems.push_back({path, out.spec.name_at, name.error().message(), name.error().hint()});
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
