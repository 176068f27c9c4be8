#include "cnb/build/project_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cnb/buildpacks/added_buildpacks.h"

namespace locald::cnb {
namespace {

constexpr const char* kName = "project.toml";
constexpr std::size_t kMaxBytes = 1u << 20;

std::vector<std::string> texts(const std::vector<PlacedText>& words) {
  std::vector<std::string> out;
  for (const PlacedText& word : words) out.push_back(word.text);
  return out;
}

}  // namespace

Result<std::optional<ProjectFile>> read_project_file(const JudgedPath& folder) {
  const std::string file = folder.path + "/" + kName;
  const auto fd = open_in_root(folder.fd.get(), kName, O_RDONLY | O_NONBLOCK);
  struct stat st {};
  if (!fd && fd.error().code() == Errc::not_found) {
    if (::fstatat(folder.fd.get(), kName, &st, AT_SYMLINK_NOFOLLOW) != 0)
      return std::optional<ProjectFile>();
    return Error(Errc::invalid_input, file + " is a symlink to nothing in the app's folder");
  }
  if (!fd) return Error(fd.error()).with_context(file);
  if (::fstat(fd->get(), &st) != 0) return Error::from_errno(errno, file);
  if (!S_ISREG(st.st_mode)) return Error(Errc::invalid_input, file + " is not a regular file");
  const std::string text = TRY(read_all(fd->get(), kMaxBytes).context(file));
  ParsedDescriptor parsed = parse_project_descriptor(text, file);
  if (!parsed.problems.empty())
    return Error(Errc::invalid_input,
                 (parsed.problems.size() == 1
                      ? std::string()
                      : std::to_string(parsed.problems.size()) + " problems in project.toml:\n") +
                     describe(parsed.problems));
  return std::optional<ProjectFile>({file, std::move(parsed.descriptor)});
}

PathFilter source_filter(const ProjectDescriptor& project) {
  const PathFilter filter = project.include.empty() ? PathFilter::exclude(texts(project.exclude))
                                                    : PathFilter::include(texts(project.include));
  return filter.without(never_sent());
}

std::map<std::string, std::string> build_environment(
    const ProjectDescriptor& project, std::string_view exec_env,
    const std::map<std::string, std::string>& asked_for) {
  std::map<std::string, std::string> env = asked_for;
  // Backwards, since the last one of a name counts.
  for (auto variable = project.build_env.rbegin(); variable != project.build_env.rend(); ++variable)
    if (is_for(variable->exec_env, exec_env)) env.emplace(variable->name, variable->value);
  return env;
}

}  // namespace locald::cnb
