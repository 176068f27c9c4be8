#pragma once
#include <functional>
#include <string>

#include "base/result.h"
#include "runtime/process_runtime.h"
#include "runtime/user_namespace.h"
#include "server/instances/containers.h"
#include "server/instances/sessions.h"
#include "server/instances/unmanaged.h"
#include "server/launch/runtime_launcher.h"
#include "server/projects/projects.h"

namespace locald::server {

/// Who takes over what earlier servers left.
struct Heirs {
  const Paths& paths;
  runtime::ProcessRuntime& runtime;
  runtime::UserNamespace& user_namespace;
  RuntimeLauncher& launcher;
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
