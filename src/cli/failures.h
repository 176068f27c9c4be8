#pragma once
#include <map>
#include <string>
#include <vector>

#include "cli/context.h"

namespace locald::cli {

/// Says which services of an `up` reply (api.h; of start and restart too) failed and why, with the
/// last lines of what each wrote. @return the exit code.
int report_up(Context& context, const Json& reply);

/// Says what an `up` made of each service: "web: recreated (env)".
void report_changes(const Json& reply);

/// The failures of services while one looks on, so that the end can repeat what has scrolled away.
class Failures {
 public:
  /// @param service  As in `status`; one that does well again is forgotten.
  void note(const Json& service);
  /// Says them all, the oldest first.
  void repeat() const;

 private:
  std::vector<std::string> order_;
  std::map<std::string, std::string> texts_;
};

}  // namespace locald::cli
