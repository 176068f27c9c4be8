#include "project/compose/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/strings.h"
#include "project/compose/check_service.h"
#include "project/compose/published_ports.h"

namespace locald::project::compose {
namespace {

void check_external(const std::string& section, const Node& model, Report& report) {
  for (const auto& [key, volume] : model[section].as_table()) {
    if (!volume["external"].as_bool()) continue;
    for (const auto& [name, value] : volume.as_table())
      if (name != "name" && name != "external" && !name.starts_with("x-"))
        report.key_problem(
            value, fmt::format("`{}.{}` is external, and must not have `{}`", section, key, name));
  }
}

/// A secret or config has one of `sources`.
void check_sources(const char* section, const std::vector<const char*>& sources, const Node& model,
                   Report& report) {
  for (const auto& [key, object] : model[section].as_table()) {
    std::vector<std::string> there;
    for (const char* source : sources)
      if (object.contains(source)) there.emplace_back(source);
    if (there.size() > 1)
      report.problem(object[there[1]],
                     fmt::format("`{}.{}` has `{}` and `{}`", section, key, there[0], there[1]),
                     "one of them");
    std::vector<std::string> all(sources.begin(), sources.end());
    if (there.empty() && !object["external"].as_bool())
      report.problem(object, fmt::format("`{}.{}` needs one of {}", section, key, join(all, ", ")));
  }
}

class Cycles {
 public:
  Cycles(const Node& services, Report& report) : services_(services), report_(report) {
    for (const auto& [name, service] : services.as_table()) by_name_.emplace(name, &service);
  }
  void find() {
    for (const auto& [name, service] : by_name_) visit(name);
  }

 private:
  /// The path may be as long as there are services: no recursion.
  void visit(const std::string& first) {
    std::vector<std::pair<std::string, std::size_t>> path;
    if (state_[first] == 0) path.emplace_back(first, 0);
    while (!path.empty()) {
      const std::string name = path.back().first;
      state_[name] = 1;
      const auto& all = (*by_name_.at(name))["depends_on"].as_table();
      if (path.back().second == all.size()) {
        state_[name] = 2;
        path.pop_back();
        continue;
      }
      const auto& [next, dependency] = all[path.back().second++];
      if (by_name_.count(next) == 0 || state_[next] == 2) continue;
      if (state_[next] == 1)
        tell(path, next, dependency);
      else
        path.emplace_back(next, 0);
    }
  }

  void tell(const std::vector<std::pair<std::string, std::size_t>>& path, const std::string& next,
            const Node& dependency) {
    std::vector<std::string> chain;
    for (const auto& [name, index] : path)
      if (name == next || !chain.empty()) chain.push_back(name);
    chain.push_back(next);
    report_.problem(dependency,
                    fmt::format("services depend on each other: {}", join(chain, " → ")));
  }

  const Node& services_;
  Report& report_;
  std::map<std::string, const Node*> by_name_;
  std::map<std::string, int> state_;  // 1: on the path, 2: seen through
};

}  // namespace

void check_model(const Node& model, const Node& disabled, Report& report) {
  check_external("volumes", model, report);
  check_sources("configs", {"file", "environment", "content"}, model, report);
  check_sources("secrets", {"file", "environment"}, model, report);
  for (const Node* services : {&model["services"], &disabled})
    for (const auto& [name, service] : services->as_table())
      check_values(member_path("services", name), service, report);
  for (const auto& [name, service] : model["services"].as_table())
    check_service({name, service, model, disabled, report});
  Cycles(model["services"], report).find();
}

}  // namespace locald::project::compose
