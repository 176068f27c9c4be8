#include "project/service_graph.h"

#include <algorithm>
#include <utility>

namespace locald::project {

void ServiceGraph::add_edge(const std::string& service, const std::string& dependency) {
  needs_[dependency];
  needs_[service].insert(dependency);
  needed_by_[dependency].insert(service);
}

const std::set<std::string>& ServiceGraph::dependencies(const std::string& service) const {
  static const std::set<std::string> kNone;
  const auto it = needs_.find(service);
  return it == needs_.end() ? kNone : it->second;
}

std::set<std::string> ServiceGraph::dependents(const std::string& service) const {
  const auto it = needed_by_.find(service);
  return it == needed_by_.end() ? std::set<std::string>() : it->second;
}

std::set<std::string> ServiceGraph::with_dependencies(const std::set<std::string>& services) const {
  std::set<std::string> out;
  std::vector<std::string> todo(services.begin(), services.end());
  while (!todo.empty()) {
    const std::string service = std::move(todo.back());
    todo.pop_back();
    if (!out.insert(service).second) continue;
    for (const std::string& d : dependencies(service)) todo.push_back(d);
  }
  return out;
}

std::vector<std::string> ServiceGraph::cycle() const {
  // Depth first without recursion: the file may have any depth.
  enum class Mark : unsigned char { on_path = 1, done };
  std::map<std::string, Mark> marks;
  for (const auto& [start, unused] : needs_) {
    if (marks.contains(start)) continue;
    std::vector<std::pair<std::string, std::set<std::string>::const_iterator>> path;
    const auto enter = [&](const std::string& service) {
      marks[service] = Mark::on_path;
      path.emplace_back(service, dependencies(service).begin());
    };
    enter(start);
    while (!path.empty()) {
      auto& [service, next] = path.back();
      if (next == dependencies(service).end()) {
        marks[service] = Mark::done;
        path.pop_back();
        continue;
      }
      const std::string target = *next++;
      const auto mark = marks.find(target);
      if (mark == marks.end()) {
        enter(target);
      } else if (mark->second == Mark::on_path) {
        std::vector<std::string> out;
        auto it = std::find_if(path.begin(), path.end(),
                               [&](const auto& p) { return p.first == target; });
        for (; it != path.end(); ++it) out.push_back(it->first);
        std::rotate(out.begin(), std::min_element(out.begin(), out.end()), out.end());
        out.push_back(out.front());
        return out;
      }
    }
  }
  return {};
}

}  // namespace locald::project
