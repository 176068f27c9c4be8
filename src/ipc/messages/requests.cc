#include "ipc/messages/requests.h"

#include "ipc/messages/build.h"
#include "ipc/messages/container.h"
#include "ipc/messages/image.h"
#include "ipc/messages/project.h"
#include "ipc/messages/server.h"

namespace locald::ipc {
namespace {

template <class R>
RequestInfo once(std::string_view doc, std::string_view reply) {
  return {R::kName,
          doc,
          reply,
          false,
          &R::fields,
          [](const Json& body, Reading reading) -> Result<Json> {
            return encode(TRY(decode<R>(body, reading)));
          }};
}

template <class R>
RequestInfo stream(std::string_view doc, std::string_view reply) {
  RequestInfo out = once<R>(doc, reply);
  out.streams = true;
  return out;
}

}  // namespace

const std::vector<RequestInfo>& requests() {
  static const std::vector<RequestInfo> all{
      once<VersionRequest>("Which server this is; of any build, for ever the same.",
                           "{version, build, pid, jobs}"),
      once<ServerStatusRequest>("What the server has and does.",
                                "{pid, version, build, uptime_s, projects, services, containers, "
                                "jobs, paths{data, state, run}, id_map}"),
      stream<ServerStopRequest>("Ends the server; of any build, for ever the same.",
                                "{services_left}; then the process ends"),
      once<DoctorRequest>("Tries what locald needs of this machine.",
                          "{checks: [{name, status: ok|warn|fail, message, hint}]}"),

      stream<UpRequest>(
          "Brings a project up, or applies what has changed in its file. Answered when every "
          "service has started or failed; failed are also named the dependencies for which "
          "services "
          "failed. Apps that run are built first, and run until then. "
          "Waits for a project that is going down; hanging up then calls it off, and so does "
          "another `down`.",
          "{project, services: [as in `status`], failed: [names], reasons: {name: text}, changes: "
          "{name: \"started\" | \"unchanged\" | \"recreated: KEYS\"}, timed_out}"),
      stream<DownRequest>("Stops a project's services and removes what they leave.", "{}"),
      stream<StartRequest>("Starts services of a project that is up, with what they depend on.",
                           "as `up`"),
      stream<StopRequest>("Stops services, which stay stopped until start, restart or up.",
                          "as `up`"),
      stream<RestartRequest>("Stops services and starts them again; apps are built first.",
                             "as `up`"),
      once<KillRequest>("A second Ctrl-C: the project goes down, everything is killed at once.",
                        "{}"),
      once<StatusRequest>(
          "What a project's services do.",
          "{project, services: [{name, kind, state, …, network, and for kind cnb app{name, path, "
          "process, generation, built_at, live: [folders]}}]}; with \"all\" {projects: [{project, "
          "dir, services}]}"),
      stream<WatchRequest>("State events, first the present ones, until the project is down.",
                           "{}"),
      once<LogsRequest>(
          "Where logs are: clients read the segments themselves (src/base/log/log_format.h).",
          "{services: [{name, dir, first_segment, nonce}]}; first_segment is that of the present "
          "run"),
      once<ConfigCheckRequest>(
          "Looks for all that `up` would refuse in a project's file, and changes nothing.",
          "{project, services: [names], file, notices: [{service, text}]}"),
      once<ProjectListRequest>("The projects that the server knows.",
                               "{projects: [{name, dir, running}]}"),
      once<ProjectForgetRequest>("Frees a project's name for another folder.", "{}"),
      once<ExecRequest>("Runs a command beside a service.",
                        "{socket, nonce}: attach there (src/base/log/attach_protocol.h, with "
                        "\"hold\")"),
      once<AttachRequest>("Where the terminal or the pipes of a service are.",
                          "{socket, nonce, tty}"),

      stream<ContainerRunRequest>(
          "Runs a container of no project. Hanging up before it runs cancels, unless it is "
          "detached.",
          "{id, socket, nonce}; detached: when it runs, or {id, exit_code, reason} where it never "
          "did"),
      once<ContainerListRequest>("Containers of no project.",
                                 "{containers: [{id, name, image, command, state, pid, "
                                 "created_at, started_at, exit_code, signal, reason, network}]}"),
      once<ContainerRemoveRequest>("Removes containers.", "{removed: [ids]}"),

      stream<ImagePullRequest>("Fetches an image; hanging up cancels.",
                               "{name, digest, size, contacted, warnings}"),
      once<ImageListRequest>("The images in the store.",
                             "{images: [{name, digest, id, size, created, pulled_at, layers}]}"),
      once<ImageRemoveRequest>("Removes names of images, and layers that no name needs.",
                               "{removed: [names], freed_bytes}"),
      stream<ImageUnpackRequest>("Writes an image's files into a folder; hanging up cancels.",
                                 "{digest, entries, warnings}"),
      stream<ImageExportRequest>("Writes an image to an OCI layout or archive; hanging up cancels.",
                                 "{name, target, digest, id, size}"),
      stream<ImagePushRequest>("Pushes an image to a registry; hanging up cancels.",
                               "{name, digest, id, uploaded, uploaded_bytes, mounted, "
                               "there_before}"),
      stream<ImageRebaseRequest>(
          "Puts an app's image onto the present run image; hanging up cancels.",
          "{name, digest, id, changed, run_image, run_image_digest, notices}"),

      stream<BuildRequest>(
          "Builds apps; hanging up cancels.",
          "{apps: [{app, path, services, built, reason|null, generation, built_at, strict, "
          "builder, builder_digest, run_image, run_image_digest, platform_api, lifecycle, "
          "buildpacks: [{id, version}], processes: [{type, default, command, args, direct, "
          "buildpack}], times{phases: [{name, ms}], buildpacks: [{name, ms}], total_ms}, "
          "image{name, digest, id, size}|null, notices}]}"),
      once<BuildLogsRequest>("Where the logs of builds are.",
                             "{logs: [{name, dir}]}, newest first"),
      once<CacheListRequest>("What builds keep.",
                             "{caches: [{app, project, path, builder, bytes, generations, "
                             "last_used, in_use}]}"),
      once<CacheRemoveRequest>("Removes what builds of apps keep.", "{removed: [names]}"),
      once<CachePruneRequest>("Removes what builds of deleted and unused apps keep.",
                              "{removed: [as in `cache/ls`]}"),
  };
  return all;
}

}  // namespace locald::ipc
