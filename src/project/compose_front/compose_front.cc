#include "project/compose_front/compose_front.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "project/compose/find.h"
#include "project/compose/load.h"
#include "project/compose/model_reader.h"
#include "project/compose_front/front.h"
#include "project/compose_front/key_effects.h"

namespace locald::project::compose {
namespace {

Request request_of(const ProjectRef& ref) {
  Request out;
  out.dir = ref.dir;
  if (!ref.file.empty()) out.files.push_back(ref.file);
  for (const std::string& file : ref.compose.more_files) out.files.push_back(file);
  out.name = ref.name;
  out.profiles.assign(ref.compose.profiles.begin(), ref.compose.profiles.end());
  out.services = ref.compose.services;
  out.shell = ref.compose.env;
  if (const auto home = out.shell.find("HOME"); home != out.shell.end()) out.home = home->second;
  return out;
}

Error error_of(const Report& report) { return problems_error(report.problems); }

std::string sentence(const Problem& notice, const std::string& dir) {
  Problem shown = notice;
  if (shown.file.starts_with(dir + "/")) shown.file.erase(0, dir.size() + 1);
  return describe({shown});
}

void check_allowed(const ComposeOptions& options, Report& report) {
  for (const std::string& name : options.allowed)
    if (!can_be_allowed(name))
      report.problems.push_back({"--allow-unsupported",
                                 {},
                                 fmt::format("\"{}\" is nothing that is refused", name),
                                 "the messages say which words can stand there"});
}

}  // namespace

bool is_compose_file(std::string_view path) {
  return path.ends_with(".yaml") || path.ends_with(".yml");
}

Result<std::string> find_file(const ProjectRef& ref, const FileAccess& access) {
  Report report;
  const Located located = find_project(request_of(ref), access, report);
  if (!report.good()) return error_of(report);
  return located.files.empty() ? std::string() : located.files[0];
}

Result<std::string> find_name(const ProjectRef& ref, const FileAccess& access) {
  Report report;
  const Request request = request_of(ref);
  const Located located = find_project(request, access, report);
  if (!report.good()) return error_of(report);
  ModelReader reader(access, request.home, report);
  const std::string written = reader.written_name(located.files, located.environment);
  std::string name = choose_name(request, located, written, report);
  if (!report.good()) return error_of(report);
  return name;
}

LoadedProject read_project(const ProjectRef& ref, const FileAccess& access) {
  Project project = load_project(request_of(ref), access);
  Report& report = project.report;
  LoadedProject out;
  out.name = project.name;
  ProjectSpec& spec = out.spec;
  spec.name = project.name;
  spec.file = project.located.files.empty() ? ref.file : project.located.files[0];
  spec.dir = project.located.dir.empty() ? ref.dir : project.located.dir;
  spec.network.mode = NetworkUse::Mode::project;
  spec.compose = true;
  check_allowed(ref.compose, report);
  if (report.good()) {
    Front front(project.model, ref.compose, report, spec);
    judge_keys(front);
    read_networks(front);
    for (const auto& [name, service] : project.model["services"].as_table())
      read_service(front, name, service);
    std::stable_sort(spec.services.begin(), spec.services.end(),
                     [](const ServiceSpec& a, const ServiceSpec& b) { return a.name < b.name; });
    read_links(front);
    for (std::string& text : front.notices()) out.notices.push_back(std::move(text));
  }
  for (const auto& [name, service] : project.disabled.as_table()) out.disabled.push_back(name);
  std::vector<std::string> told;
  for (const Problem& notice : report.notices) told.push_back(sentence(notice, spec.dir));
  out.notices.insert(out.notices.begin(), told.begin(), told.end());
  sort_by_place(report.problems);
  out.problems = std::move(report.problems);
  return out;
}

}  // namespace locald::project::compose
