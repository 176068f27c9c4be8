#include "server/api/copies.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <utility>

#include "base/sys/judged_folder.h"
#include "builder/copy_job.h"
#include "runtime/processes.h"
#include "server/http/request.h"

namespace locald::server {
namespace {

std::string last_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// The folder of the host's, and what the job is to know of it.
struct Outside {
  JudgedPath folder;
  std::string name, as;
};

/// Where it is to go: into a folder that is there, or by a new name.
Result<Outside> target_of(const PathJudge& judge, const ipc::CopyRequest& request) {
  auto there = judge.open(request.outside, PathJudge::Use::look);
  if (there && there->is_folder())
    return Outside{std::move(*there), request.contents ? "" : last_of(request.inside), {}};
  if (!there && there.error().code() != Errc::not_found) return std::move(there).error();
  if (request.into)
    return Error(Errc::not_found, "there is no folder " + request.outside)
        .with_hint("create it, or leave the / at its end out");
  if (there && request.contents)
    return Error(Errc::invalid_input, request.outside + " is not a folder");
  JudgedParent parent = TRY(judged_parent(judge, request.outside));
  return Outside{std::move(parent.folder), std::move(parent.name), {}};
}

Result<Outside> source_of(const PathJudge& judge, const ipc::CopyRequest& request) {
  if (request.contents || request.outside == "/") {
    JudgedPath folder = TRY(judge.open(request.outside, PathJudge::Use::look));
    if (!folder.is_folder())
      return Error(Errc::invalid_input, request.outside + " is not a folder");
    return Outside{std::move(folder), {}, {}};
  }
  std::string path = request.outside;
  if (request.follow_link) path = TRY(judge.open(path, PathJudge::Use::look)).path;
  JudgedParent parent = TRY(judged_parent(judge, path));
  return Outside{std::move(parent.folder), std::move(parent.name), last_of(request.outside)};
}

}  // namespace

void Copies::copy(const ipc::CopyRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(deps_.projects.find_up(request.project, ProjectVerb::exec));
    const Supervisor::Unit& unit = *TRY(Projects::find_service(project, request.service));
    const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
    if (config.kind == project::ServiceKind::exec)
      return Error(Errc::invalid_input,
                   fmt::format("{} is a host process: its files are the host's", request.service))
          .with_hint("copy them with cp; it runs in " + config.cwd);
    if (unit.state.phase != Phase::running || unit.pid == 0)
      return Error(Errc::invalid_input,
                   fmt::format("{} is {}", request.service, to_string(unit.state.phase)))
          .with_hint("files are copied while it runs: locald start " + request.service);
    const auto stat = runtime::process_stat(unit.pid);
    if (!stat) return Error(Errc::not_found, request.service + " has ended");
    auto job = deps_.jobs.run<Result<JsonText>>(
        "copy files of " + request.service,
        [&environment = deps_.environment, request, pid = unit.pid,
         start = stat->start_time](const std::stop_token& stop) -> Result<JsonText> {
          const PathJudge judge = environment.judge();
          const Outside outside =
              TRY(request.out ? target_of(judge, request) : source_of(judge, request));
          const builder::CopyJob copy{.pid = pid,
                                      .start_time = start,
                                      .inside = request.inside,
                                      .out = request.out,
                                      .contents = request.contents,
                                      .into = request.into,
                                      .follow_link = request.follow_link,
                                      .name = outside.name,
                                      .as = outside.as};
          const Json done =
              TRY(environment
                      .run(
                          encode(copy), [](const Json&) {}, stop, {}, outside.folder.fd.get())
                      .context(request.service + ": cp"));
          const auto number = [&](const char* name) {
            return static_cast<std::uint64_t>(done[name].as_int());
          };
          return encode_text(
              ipc::CopyReply{number("entries"), number("bytes"), number("left_out")});
        },
        [reply](Result<JsonText> result) {
          if (result)
            reply->result(*result);
          else
            reply->error(result.error());
        });
    reply->on_hangup([job]() mutable { job.cancel(); });
    return {};
  });
}

}  // namespace locald::server
