#include "ipc/messages/requests.h"

#include "ipc/messages/build.h"
#include "ipc/messages/container.h"
#include "ipc/messages/image.h"
#include "ipc/messages/look.h"
#include "ipc/messages/project.h"
#include "ipc/messages/server.h"
#include "ipc/messages/store.h"

namespace locald::ipc {
namespace {

template <class T>
Result<Json> read_as(const Json& json, Reading reading) {
  return encode(TRY(decode<T>(json, reading)));
}

template <class R>
RequestInfo once(std::string_view doc) {
  using Reply = typename R::Reply;
  return {R::kName, doc, false, &R::fields, &Reply::fields, read_as<R>, read_as<Reply>};
}

template <class R>
RequestInfo stream(std::string_view doc) {
  RequestInfo out = once<R>(doc);
  out.streams = true;
  return out;
}

}  // namespace

const std::vector<RequestInfo>& requests() {
  static const std::vector<RequestInfo> all{
      once<VersionRequest>("Which server this is; of any build, for ever the same."),
      once<ServerStatusRequest>("What the server has and does."),
      stream<ServerStopRequest>(
          "Ends the server, once it has answered; of any build, for ever the same."),
      once<DoctorRequest>("Tries what locald needs of this machine."),

      stream<UpRequest>(
          "Brings a project up, or applies what has changed in its file. Answered when every "
          "service has started or failed; failed are also named the dependencies for which "
          "services "
          "failed. Apps that run are built first, and run until then. "
          "Waits for a project that is going down; hanging up then calls it off, and so does "
          "another `down`."),
      stream<DownRequest>("Stops a project's services and removes what they leave."),
      stream<StartRequest>("Starts services of a project that is up, with what they depend on."),
      stream<StopRequest>("Stops services, which stay stopped until start, restart or up."),
      stream<RestartRequest>("Stops services and starts them again; apps are built first."),
      stream<WaitRequest>("Answered when services are healthy, or have ended. Starts nothing."),
      once<KillRequest>("A second Ctrl-C: the project goes down, everything is killed at once."),
      once<StatusRequest>("What a project's services do."),
      stream<WatchRequest>("State events, first the present ones, until the project is down."),
      once<LogsRequest>("Where logs are: clients read the segments themselves."),
      once<ConfigCheckRequest>(
          "Looks for all that `up` would refuse in a project's file, and changes nothing."),
      once<ConfigSchemaRequest>("The JSON Schema of locald.toml."),
      once<InitRequest>("A locald.toml for a folder, from what lies there. Writes nothing."),
      once<ProjectListRequest>("The projects that the server knows."),
      once<LeftRequest>(
          "The projects that were up, are not, and were not brought down: as after a boot."),
      once<ProjectForgetRequest>("Frees a project's name for another folder."),
      once<ExecRequest>("Runs a command beside a service."),
      stream<RunRequest>(
          "Runs a command once, as a service would run, in a process or container of its own. "
          "Hanging up before it runs cancels."),
      once<StatsRequest>("What a project's services take of the machine."),
      once<InspectRequest>("All that is known of a service."),
      once<TopRequest>("The processes of a service."),
      once<CopyRequest>(
          "Copies files between the host and a container that runs; hanging up ends it, and what "
          "was copied stays."),
      stream<EventsRequest>(
          "What happens to services: a snapshot, then changes, until the client hangs up."),
      once<AttachRequest>("Where the terminal or the pipes of a service are."),

      stream<ContainerRunRequest>(
          "Runs a container of no project. Hanging up before it runs cancels, unless it is "
          "detached."),
      once<ContainerListRequest>("Containers of no project."),
      once<ContainerRemoveRequest>("Removes containers."),

      stream<ImagePullRequest>("Fetches an image; hanging up cancels."),
      once<ImageListRequest>("The images in the store."),
      once<ImageInspectRequest>("What an image of the store is."),
      once<ImageHistoryRequest>("The steps by which an image was made."),
      once<ImageTagRequest>("Gives an image of the store another name too."),
      once<ImagePruneRequest>("Removes what no name leads to, and images that nothing uses."),
      once<LoginRequest>("Says a login to a registry; it is kept nowhere."),
      once<DiskRequest>("What takes how much of the disk."),
      once<ImageRemoveRequest>("Removes names of images, and layers that no name needs."),
      stream<ImageUnpackRequest>("Writes an image's files into a folder; hanging up cancels."),
      stream<ImageExportRequest>(
          "Writes an image to an OCI layout or archive; hanging up cancels."),
      stream<ImagePushRequest>("Pushes an image to a registry; hanging up cancels."),
      stream<ImageRebaseRequest>(
          "Puts an app's image onto the present run image; hanging up cancels."),

      stream<BuildRequest>("Builds apps; hanging up cancels."),
      once<BuildLogsRequest>("Where the logs of builds are."),
      once<CacheListRequest>("What builds keep."),
      once<CacheRemoveRequest>("Removes what builds of apps keep."),
      once<CachePruneRequest>("Removes what builds of deleted and unused apps keep."),
  };
  return all;
}

}  // namespace locald::ipc
