#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/strings.h"
#include "ipc/messages/service.h"
#include "project/project_file.h"
#include "project/service_config.h"
#include "server/http/reply.h"

/// What handlers of requests (ipc/api.h) have in common.
namespace locald::server {

/// Runs `work`; its error is the answer.
template <typename F>
void or_error(const ReplyPtr& reply, F&& work) {
  Result<void> result = work();
  if (!result) reply->error(result.error());
}

/// Sends a sentence for people. @param service  "": of none
void send_notice(const ReplyPtr& reply, const std::string& service, const std::string& text);
/// Sends a service's state, as `status` has it.
void send_state(const ReplyPtr& reply, ipc::ServiceStatus service);

/// Where a request looks for its project.
project::ProjectRef project_ref(const ipc::ProjectPlace& place);
/// The user who asks. @return Errc::invalid_input for variables, limits and masks that are none.
Result<project::UserContext> user_context(const ipc::World& world);

/// The end of a request that its project took along.
inline Error brought_down(const std::string& project) {
  return Error(Errc::cancelled, "project " + project + " was brought down")
      .with_hint("bring it up: locald up");
}

/// That `name` is none of the services that are `known`, with the one that was likely meant.
inline Error no_service(const std::string& name, std::vector<std::string> known) {
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  const auto near = did_you_mean(name, known);
  return Error(Errc::not_found, "there is no service '" + name + "'")
      .with_hint(near ? "did you mean '" + *near + "'?" : "there are: " + join(known, ", "));
}

}  // namespace locald::server
