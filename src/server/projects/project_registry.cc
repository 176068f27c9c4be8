#include "server/projects/project_registry.h"

#include <algorithm>
#include <utility>
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
  std::map<std::string, Json> projects;         ///< name -> folder
  std::map<std::string, std::string> networks;  ///< name -> network of what names none
  Json up;                                      ///< a list of ProjectRegistry::Up

  static const Fields& fields() {
    static const Fields table = FieldsOf<RegistryFile>("projects.json")
                                    .always("projects", &RegistryFile::projects, "")
                                    .field("networks", &RegistryFile::networks, "")
                                    .field("up", &RegistryFile::up, "");
    return table;
  }
};

// Values of `networks`.
constexpr std::string_view kOwn = "project";
constexpr std::string_view kHostTold = "host";  // and the user has been told

}  // namespace

Result<ProjectRegistry> ProjectRegistry::load(std::string file, std::string& notice) {
  const Json document = TRY(load_state_file(file, kRegistryFormat, "projects", notice));
  ProjectRegistry registry(std::move(file));
  const auto read = decode<RegistryFile>(document, Reading::tolerant).value_or(RegistryFile());
  std::string damaged;
  for (const auto& [name, folder] : read.projects)
    if (folder.is_string() && project::valid_name(name))
      registry.entries_.folders.emplace(name, folder.as_string());
    else
      damaged = name;
  registry.entries_.networks = read.networks;
  for (const Json& json : read.up.as_array())
    if (auto up = decode<Up>(json, Reading::tolerant); up && project::valid_name(up->name))
      registry.entries_.up.push_back(std::move(*up));
  if (damaged.empty()) return registry;
  set_state_file_aside(registry.file_, "the entry \"" + damaged + "\" is damaged", notice);
  (void)registry.write_back();  // the others
  return registry;
}

Result<void> ProjectRegistry::check(const std::string& name, const std::string& dir) const {
  const auto known = entries_.folders.find(name);
  if (known != entries_.folders.end() && known->second != dir && exists(known->second))
    return Error(Errc::already_exists, "the project name \"" + name + "\" belongs to " +
                                           known->second + ", not to " + dir)
        .with_hint(
            "give this one another name with -p NAME (or LOCALD_PROJECT), or free the name with: "
            "locald project forget " +
            name);
  return {};
}

Result<void> ProjectRegistry::claim(const std::string& name, const std::string& dir,
                                    bool own_network) {
  TRY(check(name, dir));
  // A folder that is gone gives its name up by itself.
  const auto known = entries_.folders.find(name);
  const bool fresh = known == entries_.folders.end() || known->second != dir;
  const auto network = entries_.networks.find(name);
  const bool own = network != entries_.networks.end() && network->second == kOwn;
  if (!fresh && (own || !own_network)) return {};
  Entries changed = entries_;
  changed.folders[name] = dir;
  changed.networks.erase(name);
  if (own_network) changed.networks[name] = kOwn;
  return save(std::move(changed));
}

bool ProjectRegistry::stays_on_host(const std::string& name, const std::string& dir) const {
  const auto known = entries_.folders.find(name);
  if (known == entries_.folders.end() || known->second != dir) return false;
  const auto network = entries_.networks.find(name);
  return network == entries_.networks.end() || network->second != kOwn;
}

Result<void> ProjectRegistry::note_told(const std::string& name) {
  Entries changed = entries_;
  changed.networks.emplace(name, kHostTold);
  return save(std::move(changed));
}

const Fields& ProjectRegistry::Up::fields() {
  static const Fields table = FieldsOf<Up>("project that is up")
                                  .always("name", &Up::name, "")
                                  .always("file", &Up::file, "")
                                  .always("services", &Up::services, "");
  return table;
}

Result<void> ProjectRegistry::set_up(Up project) {
  Entries changed = entries_;
  const auto known = std::find_if(changed.up.begin(), changed.up.end(),
                                  [&](const Up& one) { return one.name == project.name; });
  if (known == changed.up.end())
    changed.up.push_back(std::move(project));
  else if (*known == project)
    return {};
  else
    *known = std::move(project);
  return save(std::move(changed));
}

Result<void> ProjectRegistry::set_down(const std::string& name) {
  Entries changed = entries_;
  if (std::erase_if(changed.up, [&](const Up& one) { return one.name == name; }) == 0) return {};
  return save(std::move(changed));
}

Result<void> ProjectRegistry::forget(const std::string& name) {
  Entries changed = entries_;
  if (changed.folders.erase(name) == 0) {
    std::vector<std::string> names;
    for (const auto& [known, folder] : entries_.folders) names.push_back(known);
    Error error(Errc::not_found, "no project is called \"" + name + "\"");
    if (const auto near = did_you_mean(name, names))
      return std::move(error).with_hint("did you mean " + *near + "?");
    return error;
  }
  changed.networks.erase(name);
  std::erase_if(changed.up, [&](const Up& one) { return one.name == name; });
  return save(std::move(changed));
}

Result<void> ProjectRegistry::write_back() const {
  return entries_.folders.empty() || exists(file_) ? Result<void>() : write(entries_);
}

std::optional<std::string> ProjectRegistry::folder(const std::string& name) const {
  const auto known = entries_.folders.find(name);
  return known == entries_.folders.end() ? std::nullopt : std::optional(known->second);
}

Result<void> ProjectRegistry::write(const Entries& entries) const {
  RegistryFile file{{entries.folders.begin(), entries.folders.end()}, entries.networks, {}};
  for (const Up& up : entries.up) file.up.push(encode(up));
  return save_state_file(file_, kRegistryFormat, encode(file))
      .context("remember the project's folder");
}

Result<void> ProjectRegistry::save(Entries entries) {
  TRY(write(entries));
  entries_ = std::move(entries);
  return {};
}

}  // namespace locald::server
