#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/process_runtime.h"
#include "server/instances/containers.h"
#include "server/instances/sessions.h"
#include "server/projects/projects.h"
#include "server/projects/unmanaged.h"

namespace locald::server {

/// Who takes over what earlier servers left.
struct Heirs {
  const Paths& paths;
  std::function<Result<std::vector<runtime::ProcessRuntime::Found>>()> find;
  std::function<void(int shim_pid)> lives;  ///< told of each that does, before it is taken over
  Projects& projects;
  Sessions& sessions;
  Containers& containers;
  Unmanaged& unmanaged;
  std::function<void(const std::string&)> log;
};

/// Takes over every instance that is found, before the first request is answered. What lives is
/// kept, also where it does not answer (ServiceHandle::trouble()) or its project's record is
/// damaged (R-SILENCE).
Result<void> adopt(const Heirs& heirs);

}  // namespace locald::server
