#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

/// Who needs whom. Pure.
namespace locald::project {

class ServiceGraph {
 public:
  void add(const std::string& service) { needs_[service]; }
  /// `service` starts after `dependency`. Both are added.
  void add_edge(const std::string& service, const std::string& dependency);

  bool contains(const std::string& service) const { return needs_.contains(service); }
  const std::set<std::string>& dependencies(const std::string& service) const;  ///< direct ones
  std::set<std::string> dependents(const std::string& service) const;           ///< direct ones

  /// `services` and all that they need, directly or not.
  std::set<std::string> with_dependencies(const std::set<std::string>& services) const;

  /// A way that leads back to its start ("a", "b", "a"), the smallest name first; empty if there is
  /// none.
  std::vector<std::string> cycle() const;

 private:
  std::map<std::string, std::set<std::string>> needs_, needed_by_;
};

}  // namespace locald::project
