#include "project/compose/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "project/compose/check.h"
#include "project/compose/env_files.h"
#include "project/compose/find.h"
#include "project/compose/model_reader.h"

namespace locald::project::compose {
namespace {

/// Moves the services that no profile enables from `model` to `disabled`.
void take_disabled(Node& model, Node& disabled, const Request& request, const Located& located) {
  std::set<std::string> enabled(located.profiles.begin(), located.profiles.end());
  for (const std::string& service : request.services)
    for (const std::string& profile : model["services"][service]["profiles"].as_strings())
      enabled.insert(profile);
  Node* const services = model.find("services");
  if (services == nullptr || !services->is_table()) return;
  Node::Table kept, other;
  for (auto& [name, service] : *services->members()) {
    const auto profiles = service["profiles"].as_strings();
    const bool on = profiles.empty() || enabled.count("*") != 0 ||
                    std::any_of(profiles.begin(), profiles.end(), [&](const std::string& profile) {
                      return enabled.count(profile) != 0;
                    });
    (on ? kept : other).emplace_back(std::move(name), std::move(service));
  }
  *services->members() = std::move(kept);
  disabled = Node(std::move(other));
}

}  // namespace

Project load_project(const Request& request, const FileAccess& access) {
  Project out;
  Report& report = out.report;
  out.located = find_project(request, access, report);
  if (out.located.files.empty())
    report.problems.push_back({request.dir,
                               {},
                               "no compose file here or in a folder above",
                               "compose.yaml is looked for; -f FILE names another"});
  if (!report.good()) return out;
  ModelReader reader(access, request.home, report);
  const std::string written = reader.written_name(out.located.files, out.located.environment);
  if (!report.good()) return out;
  out.name = choose_name(request, out.located, written, report);
  if (!report.good()) return out;
  out.located.environment["COMPOSE_PROJECT_NAME"] = out.name;

  out.model = reader.read(out.located.files, out.located.dir, out.located.environment);
  if (report.good() && out.model.as_table().empty())
    report.problems.push_back({out.located.files[0], {}, "the file is empty", "add `services`"});
  if (!report.good()) return out;
  decode(out.model, reader.respelled(), report);
  out.model.set("name", out.name);
  fill_in(out.model, out.name, out.located.environment);
  take_disabled(out.model, out.disabled, request, out.located);
  check_model(out.model, out.disabled, report);
  read_service_files(out.model, out.located.environment, access, report);
  sort_by_place(report.problems);
  return out;
}

}  // namespace locald::project::compose
