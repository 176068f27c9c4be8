#include "project/compose/find.h"

#include <fmt/format.h>

#include <initializer_list>
#include <optional>

#include "base/strings.h"
#include "project/compose/env_files.h"

namespace locald::project::compose {
namespace {

constexpr std::initializer_list<const char*> kFileNames = {
    "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"};
constexpr std::initializer_list<const char*> kOverrideNames = {
    "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml",
    "docker-compose.override.yaml"};

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

class Search {
 public:
  Search(const Request& request, const FileAccess& access, Report& report)
      : request_(request), access_(access), report_(report) {}

  Located find() {
    out_.environment = request_.shell;
    const std::string given_dir =
        request_.project_dir.empty() ? "" : absolute(request_.project_dir);
    for (const std::string& file : request_.files) out_.files.push_back(absolute(file));
    out_.dir = !given_dir.empty()   ? given_dir
               : out_.files.empty() ? request_.dir
                                    : folder_of(out_.files[0]);
    read_env();
    if (out_.files.empty()) named_by_variable();
    if (out_.files.empty()) look_upward();
    if (!out_.files.empty() && given_dir.empty() && folder_of(out_.files[0]) != out_.dir) {
      out_.dir = folder_of(out_.files[0]);
      read_env();
    }
    for (const std::string& file : out_.files)
      if (const PathKind kind = access_.kind(file); kind != PathKind::file) missing(file, kind);
    out_.profiles = request_.profiles;
    if (out_.profiles.empty())
      for (const std::string& profile : split(variable(out_.environment, "COMPOSE_PROFILES"), ','))
        if (const std::string_view name = trim(profile); !name.empty())
          out_.profiles.emplace_back(name);
    return std::move(out_);
  }

 private:
  std::string absolute(const std::string& path) const {
    return absolute_path(path, request_.dir, "");
  }

  void missing(const std::string& file, PathKind kind) {
    report_.problems.push_back({file,
                                {},
                                kind == PathKind::astray   ? "the symlink leads to nothing"
                                : kind == PathKind::folder ? "that is a folder"
                                                           : "the file does not exist",
                                ""});
  }

  void read_env() {
    std::vector<std::string> files;
    for (const std::string& file : request_.env_files) files.push_back(absolute(file));
    if (files.empty())
      for (const std::string& file : split(variable(request_.shell, "COMPOSE_ENV_FILES"), ','))
        if (!file.empty()) files.push_back(absolute(file));
    const std::string beside = out_.dir == "/" ? "/.env" : out_.dir + "/.env";
    const bool off = variable(request_.shell, "COMPOSE_DISABLE_ENV_FILE") == "1" ||
                     variable(request_.shell, "COMPOSE_DISABLE_ENV_FILE") == "true";
    if (files.empty() && !off && access_.kind(beside) == PathKind::file) files.push_back(beside);
    read_env_files(files, access_, out_.environment, report_);
  }

  void named_by_variable() {
    const std::string text = variable(out_.environment, "COMPOSE_FILE");
    if (text.empty()) return;
    const std::string separator = variable(out_.environment, "COMPOSE_PATH_SEPARATOR");
    for (const std::string& file : split(text, separator.empty() ? ':' : separator[0]))
      if (!file.empty()) out_.files.push_back(absolute(file));
  }

  void look_upward() {
    for (std::string dir = out_.dir;; dir = folder_of(dir)) {
      if (take(dir, kFileNames)) {
        take(dir, kOverrideNames);
        return;
      }
      if (dir == "/") return;
    }
  }

  /// The first of `names` that is in `dir`; several are noticed.
  bool take(const std::string& dir, std::initializer_list<const char*> names) {
    std::vector<std::string> found;
    for (const char* name : names) {
      const PathKind kind = access_.kind(fmt::format("{}/{}", dir == "/" ? "" : dir, name));
      if (kind == PathKind::file || kind == PathKind::astray) found.emplace_back(name);
    }
    if (found.empty()) return false;
    if (found.size() > 1)
      report_.notice(TextProblem{
          dir, {}, fmt::format("{} are there; {} is used", join(found, ", "), found[0]), ""});
    out_.files.push_back(dir == "/" ? "/" + found[0] : fmt::format("{}/{}", dir, found[0]));
    return true;
  }

  const Request& request_;
  const FileAccess& access_;
  Report& report_;
  Located out_;
};

}  // namespace

Located find_project(const Request& request, const FileAccess& access, Report& report) {
  return Search(request, access, report).find();
}

std::string project_name_of(std::string_view text) {
  std::string out;
  for (const char c : to_lower(text)) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (letter || (!out.empty() && (c == '_' || c == '-'))) out += c;
  }
  return out;
}

std::string choose_name(const Request& request, const Located& located, const std::string& written,
                        Report& report) {
  const auto given = [&](const std::string& name, std::string_view from) {
    if (project_name_of(name) != name)
      report.problems.push_back(
          {located.dir,
           {},
           fmt::format("invalid project name \"{}\" ({})", shortened(name, 60), from),
           "lower-case letters, digits, - and _, the first one a letter or a digit"});
    return name;
  };
  if (!request.name.empty()) return given(request.name, "-p");
  const std::string variable_name = variable(located.environment, "COMPOSE_PROJECT_NAME");
  if (!variable_name.empty()) return given(variable_name, "COMPOSE_PROJECT_NAME");
  std::string name = project_name_of(written);
  if (written.empty()) name = project_name_of(located.dir.substr(located.dir.rfind('/') + 1));
  if (name.empty())
    report.problems.push_back({located.dir,
                               {},
                               "nothing of the project's name is left in lower case",
                               "add `name: NAME` to the file"});
  return name;
}

}  // namespace locald::project::compose
