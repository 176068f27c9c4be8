#include "ipc/messages/build.h"

namespace locald::ipc {
namespace {

constexpr const char* kServicesDoc = "names of services that are built; empty: all of them";

}  // namespace

const Fields& AppFolder::fields() {
  using R = AppFolder;
  static const Fields table =
      FieldsOf<R>("app")
          .required_path("path", &R::path, "absolute: the source's folder")
          .path("base_dir", &R::base_dir, "absolute: relative paths in images start here")
          .field("builder", &R::builder, "an image; empty: as project.toml says")
          .field("run_image", &R::run_image, "an image; empty: the builder's")
          .field("env", &R::env, "for buildpacks");
  return table;
}

const Fields& BuildRequest::fields() {
  using R = BuildRequest;
  static const Fields table =
      FieldsOf<R>("request build")
          .field("project", &R::project, "where it is looked for; not with \"app\"")
          .field("services", &R::services, kServicesDoc)
          .flat(&R::world)
          .field("app", &R::app, "a folder, in place of a project's services")
          .field("again", &R::again, "also where nothing has changed")
          .field("strict", &R::strict, "all five phases of the builder's own lifecycle")
          .field("pull", &R::pull, "always: newer images of builder and run image are looked for")
          .field("output", &R::output, "oci:DIR[:TAG] or oci-archive:FILE[:TAG]: the image's copy")
          .field("tags", &R::tags, "names of the image in the store");
  return table;
}

const Fields& BuildLogsRequest::fields() {
  using R = BuildLogsRequest;
  static const Fields table =
      FieldsOf<R>("request build/logs")
          .field("project", &R::project, "where it is looked for; not with \"path\"")
          .field("services", &R::services, kServicesDoc)
          .flat(&R::world)
          .path("path", &R::path, "absolute: a folder, in place of a project's services")
          .field("all", &R::all, "every build that left a log, not the newest alone");
  return table;
}

const Fields& CacheListRequest::fields() {
  static const Fields table = FieldsOf<CacheListRequest>("request cache/ls");
  return table;
}

const Fields& CacheRemoveRequest::fields() {
  using R = CacheRemoveRequest;
  static const Fields table =
      FieldsOf<R>("request cache/rm").field("apps", &R::apps, "names of cache/ls");
  return table;
}

const Fields& CachePruneRequest::fields() {
  using R = CachePruneRequest;
  static const Fields table =
      FieldsOf<R>("request cache/prune")
          .required("unused_ms", &R::unused, "ms: those that were not used for so long");
  return table;
}

}  // namespace locald::ipc
