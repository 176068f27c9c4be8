#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "project/resolve/variables.h"

namespace locald::server {

/// What `up --env-refresh SERVICE…` leaves for the next `up`: services that it was not asked for use
/// values that it has captured, and keep the earlier ones until then. In memory: after a restart of
/// the server the next `up` tells only which keys differ.
class RefreshedValues {
 public:
  using Notices = std::vector<std::pair<std::string, std::string>>;  ///< {service, text}
  using Captured = std::function<std::optional<project::CapturedValue>(const std::string& service,
                                                                       const std::string& name)>;

  /// Before the new values are captured. @param others  Services that are there and keep theirs.
  /// @return what people should hear of them.
  Notices note(const project::Capture& now, const project::Uses& uses, const Captured& before,
               const std::set<std::string>& others);
  /// After an `up` of `services`. @param changes  As of Project::changes().
  /// @return why those that were recreated were, as far as that is the reason.
  Notices take(const std::set<std::string>& services,
               const std::map<std::string, std::string>& changes);

 private:
  std::map<std::string, std::set<std::string>> names_;  // service -> variables
};

}  // namespace locald::server
