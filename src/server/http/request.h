#pragma once
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "base/strings.h"
#include "project/project_spec.h"
#include "server/http/reply.h"

/// What handlers of requests (ipc/api.h) have in common.
namespace locald::server {

/// Runs `work`; its error is the answer.
template <typename F>
void or_error(const ReplyPtr& reply, F&& work) {
  Result<void> result = work();
  if (!result) reply->error(result.error());
}

/// `timeout_ms` of a request; nullopt: no limit.
inline std::optional<project::Milliseconds> timeout_of(const Json& body) {
  if (!body["timeout_ms"].is_number()) return std::nullopt;
  return project::Milliseconds(std::max<std::int64_t>(0, body["timeout_ms"].as_int()));
}

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
