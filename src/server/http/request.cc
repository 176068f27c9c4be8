#include "server/http/request.h"

#include <fmt/format.h>

#include "ipc/messages/events.h"

namespace locald::server {

void send_notice(const ReplyPtr& reply, const std::string& service, const std::string& text) {
  reply->event(ipc::NoticeEvent{.service = service, .text = text});
}

void send_state(const ReplyPtr& reply, ipc::ServiceStatus service) {
  reply->event(ipc::StateEvent{.service = std::move(service)});
}

project::ProjectRef project_ref(const ipc::ProjectPlace& place) {
  project::ProjectRef out{place.dir, place.file.value_or(""), place.name.value_or("")};
  out.compose.env = place.env;
  out.compose.more_files = place.more_files;
  return out;
}

Result<project::UserContext> user_context(const ipc::World& world) {
  for (const auto& [name, value] : world.env)
    if (name.empty() || name.find('=') != std::string::npos)
      return Error(Errc::invalid_input, fmt::format("env: \"{}\" is not a variable's name", name));
  if (world.umask > 0777)
    return Error(Errc::invalid_input, fmt::format("invalid umask {}", world.umask));
  project::UserContext out{
      .env = world.env, .umask = world.umask, .rlimits = {}, .login_files = world.login_files};
  for (const auto& [name, pair] : world.rlimits) {
    if (pair.size() != 2)
      return Error(Errc::invalid_input, fmt::format("rlimits: {} is not [SOFT, HARD]", name));
    out.rlimits[name] = {static_cast<std::uint64_t>(pair[0].value_or(-1)),
                         static_cast<std::uint64_t>(pair[1].value_or(-1))};
  }
  return out;
}

}  // namespace locald::server
