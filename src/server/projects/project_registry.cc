#include "server/projects/project_registry.h"

#include <vector>

#include "base/json/fields.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "project/project_spec.h"
#include "server/state/state_file.h"

namespace locald::server {
namespace {

constexpr int kRegistryFormat = 1;

/// projects.json, but for its format. A damaged folder costs its own project's entry alone.
struct RegistryFile {
  std::map<std::string, Json> projects;  ///< name -> folder

  static const Fields& fields() {
    static const Fields table =
        FieldsOf<RegistryFile>("projects.json").always("projects", &RegistryFile::projects, "");
    return table;
  }
};

}  // namespace

Result<ProjectRegistry> ProjectRegistry::load(std::string file, std::string& notice) {
  const Json document = TRY(load_state_file(file, kRegistryFormat, "projects", notice));
  ProjectRegistry registry(std::move(file));
  const auto read = decode<RegistryFile>(document, Reading::tolerant).value_or(RegistryFile());
  std::string damaged;
  for (const auto& [name, folder] : read.projects)
    if (folder.is_string() && project::valid_name(name))
      registry.folders_.emplace(name, folder.as_string());
    else
      damaged = name;
  if (damaged.empty()) return registry;
  set_state_file_aside(registry.file_, "the entry \"" + damaged + "\" is damaged", notice);
  (void)registry.write_back();  // the others
  return registry;
}

Result<void> ProjectRegistry::check(const std::string& name, const std::string& dir) const {
  const auto known = folders_.find(name);
  if (known != folders_.end() && known->second != dir && exists(known->second))
    return Error(Errc::already_exists, "the project name \"" + name + "\" belongs to " +
                                           known->second + ", not to " + dir)
        .with_hint(
            "give this one another name with -p NAME (or LOCALD_PROJECT), or free the name with: "
            "locald project forget " +
            name);
  return {};
}

Result<void> ProjectRegistry::claim(const std::string& name, const std::string& dir) {
  TRY(check(name, dir));
  if (const auto known = folders_.find(name); known != folders_.end() && known->second == dir)
    return {};
  // A folder that is gone gives its name up by itself.
  auto changed = folders_;
  changed[name] = dir;
  TRY(save(changed));
  folders_ = std::move(changed);
  return {};
}

Result<void> ProjectRegistry::forget(const std::string& name) {
  auto changed = folders_;
  if (changed.erase(name) == 0) {
    std::vector<std::string> names;
    for (const auto& [known, folder] : folders_) names.push_back(known);
    Error error(Errc::not_found, "no project is called \"" + name + "\"");
    if (const auto near = did_you_mean(name, names))
      return std::move(error).with_hint("did you mean " + *near + "?");
    return error;
  }
  TRY(save(changed));
  folders_ = std::move(changed);
  return {};
}

Result<void> ProjectRegistry::write_back() const {
  return folders_.empty() || exists(file_) ? Result<void>() : save(folders_);
}

std::optional<std::string> ProjectRegistry::folder(const std::string& name) const {
  const auto known = folders_.find(name);
  return known == folders_.end() ? std::nullopt : std::optional(known->second);
}

Result<void> ProjectRegistry::save(const std::map<std::string, std::string>& folders) const {
  const RegistryFile file{{folders.begin(), folders.end()}};
  return save_state_file(file_, kRegistryFormat, encode(file))
      .context("remember the project's folder");
}

}  // namespace locald::server
