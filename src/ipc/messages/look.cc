#include "ipc/messages/look.h"

namespace locald::ipc {
namespace {

constexpr const char* kLookedForDoc = "where it is looked for";

}  // namespace

const Fields& ServiceProcess::fields() {
  using R = ServiceProcess;
  static const Fields table =
      FieldsOf<R>("process")
          .always("pid", &R::pid, "on the host")
          .always("parent", &R::parent, "the pid of its parent, on the host")
          .always("pid_inside", &R::pid_inside, "of a container: its pid there")
          .always("user", &R::user,
                  "on the host a name; of a container the number that it has there")
          .always("state", &R::state, "the letter of proc(5): R, S, D, Z, T, …")
          .always("cpu_ns", &R::cpu_ns, "processor time since its start")
          .always("memory", &R::memory, "bytes, resident")
          .always("threads", &R::threads, "how many it has")
          .always("up_s", &R::up_s, "seconds since its start")
          .always("command", &R::command, "its words, as it shows them");
  return table;
}

const Fields& TopReply::fields() {
  static const Fields table =
      FieldsOf<TopReply>("reply top")
          .always("processes", &TopReply::processes, "those that run, parents first");
  return table;
}

const Fields& TopRequest::fields() {
  using R = TopRequest;
  static const Fields table = FieldsOf<R>("request top")
                                  .required("project", &R::project, kLookedForDoc)
                                  .required("service", &R::service, "one of the project's");
  return table;
}

const Fields& CopyReply::fields() {
  using R = CopyReply;
  static const Fields table =
      FieldsOf<R>("reply cp")
          .always("entries", &R::entries, "files, folders and links that were written")
          .always("bytes", &R::bytes, "of files")
          .always("left_out", &R::left_out, "devices, sockets and named pipes");
  return table;
}

const Fields& CopyRequest::fields() {
  using R = CopyRequest;
  static const Fields table =
      FieldsOf<R>("request cp")
          .required("project", &R::project, kLookedForDoc)
          .required("service", &R::service, "a container that runs")
          .required_path("inside", &R::inside, "absolute, in the container")
          .required_path("outside", &R::outside, "absolute, on the host")
          .field("out", &R::out, "from the container to the host; else the other way")
          .field("contents", &R::contents, "what is in the source, a folder; not the folder itself")
          .field("into", &R::into, "the target is a folder, which has to be there")
          .field("follow_link", &R::follow_link,
                 "what the source points to, where it is a symbolic link");
  return table;
}

const Fields& ChangeEvent::fields() {
  using R = ChangeEvent;
  static const Fields table =
      FieldsOf<R>("event change")
          .always("event", &R::event, "change")
          .always("seq", &R::seq, "grows with each change, also from one server to the next")
          .always("time", &R::time, "RFC 3339, UTC")
          .always("kind", &R::kind,
                  "state: of a service; removed: a service; notice; up, down: a project")
          .always("project", &R::project, "whose")
          .always("service", &R::service, "whose; empty: of none")
          .field("status", &R::status, "of kind state: as it is now")
          .field("text", &R::text, "of kind notice: a sentence for people");
  return table;
}

const Fields& SnapshotEvent::fields() {
  using R = SnapshotEvent;
  static const Fields table = FieldsOf<R>("event snapshot")
                                  .always("event", &R::event, "snapshot")
                                  .always("seq", &R::seq, "of the last change that is in it")
                                  .always("time", &R::time, "RFC 3339, UTC")
                                  .always("projects", &R::projects, "those that are up");
  return table;
}

const Fields& EventsRequest::fields() {
  using R = EventsRequest;
  static const Fields table =
      FieldsOf<R>("request events")
          .field("project", &R::project, "of this one; missing: of all")
          .field("services", &R::services, "of these; empty: of all")
          .field(
              "since", &R::since,
              "instead of a snapshot, the changes after this \"seq\"; where they are not kept any "
              "more, a snapshot all the same");
  return table;
}

const Fields& LeftProject::fields() {
  using R = LeftProject;
  static const Fields table = FieldsOf<R>("project that was up")
                                  .always("name", &R::name, "its name")
                                  .always("dir", &R::dir, "its folder")
                                  .always("file", &R::file, "its file")
                                  .always("services", &R::services, "that were wanted");
  return table;
}

const Fields& LeftReply::fields() {
  static const Fields table =
      FieldsOf<LeftReply>("reply project/left")
          .always("projects", &LeftReply::projects, "in the order in which they were brought up");
  return table;
}

const Fields& LeftRequest::fields() {
  static const Fields table = FieldsOf<LeftRequest>("request project/left");
  return table;
}

}  // namespace locald::ipc
