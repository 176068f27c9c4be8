#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>

#include "server/projects/projects.h"

namespace locald::server {

/// What a request waits for before it is answered.
struct Projects::Wait {
  ReplyPtr reply;
  std::set<std::string> services;
  Project::Until until = Project::Until::started;
  std::optional<project::Milliseconds> timeout;
  std::map<std::string, std::string> failed = {};  ///< known already: service -> why
  std::set<std::string> completing = {};           ///< of them: waited for until they have ended
};

}  // namespace locald::server
