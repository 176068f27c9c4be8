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

const Fields& BuildpackUsed::fields() {
  using R = BuildpackUsed;
  static const Fields table = FieldsOf<R>("buildpack")
                                  .always("id", &R::id, "as in buildpack.toml")
                                  .always("version", &R::version, "as in buildpack.toml");
  return table;
}

const Fields& ProcessType::fields() {
  using R = ProcessType;
  static const Fields table = FieldsOf<R>("process")
                                  .always("type", &R::type, "its name")
                                  .always("default", &R::is_default, "it runs where none is named")
                                  .always("command", &R::command, "its words")
                                  .always("args", &R::args, "words that the user's replace")
                                  .always("direct", &R::direct, "false: by a shell")
                                  .always("buildpack", &R::buildpack, "the id of who gave it");
  return table;
}

const Fields& TimeTaken::fields() {
  using R = TimeTaken;
  static const Fields table = FieldsOf<R>("time")
                                  .always("name", &R::name, "a phase, or a buildpack's ID@VERSION")
                                  .always("ms", &R::ms, "milliseconds");
  return table;
}

const Fields& BuildTimes::fields() {
  using R = BuildTimes;
  static const Fields table = FieldsOf<R>("times")
                                  .always("phases", &R::phases, "in their order")
                                  .always("buildpacks", &R::buildpacks, "of bin/build alone")
                                  .always("total_ms", &R::total_ms, "of the whole build");
  return table;
}

const Fields& BuiltImage::fields() {
  using R = BuiltImage;
  static const Fields table = FieldsOf<R>("built image")
                                  .always("name", &R::name, "as in `image/ls`")
                                  .always("digest", &R::digest, "of its manifest")
                                  .always("id", &R::id, "the digest of its configuration")
                                  .always("size", &R::size, "bytes, compressed");
  return table;
}

const Fields& BuiltApp::fields() {
  using R = BuiltApp;
  static const Fields table =
      FieldsOf<R>("built app")
          .always("app", &R::app, "as in `cache/ls`")
          .always("path", &R::path, "the source's folder")
          .always("built", &R::built, "false: nothing has changed since the last build")
          .always("reason", &R::reason, "why it was built")
          .always("generation", &R::generation, "the number of the build that counts now")
          .always("built_at", &R::built_at, "RFC 3339, UTC")
          .always("strict", &R::strict, "by the builder's own lifecycle alone")
          .always("builder", &R::builder, "its name")
          .always("builder_digest", &R::builder_digest, "of its manifest")
          .always("run_image", &R::run_image, "its name")
          .always("run_image_digest", &R::run_image_digest, "of its manifest")
          .always("platform_api", &R::platform_api, "that the lifecycle was spoken to in")
          .always("lifecycle", &R::lifecycle, "its version")
          .always("buildpacks", &R::buildpacks, "in the order of the group")
          .always("processes", &R::processes, "by type")
          .always("times", &R::times, "of the build that counts now")
          .always("image", &R::image, "if the request asked for one")
          .always("notices", &R::notices, "sentences for people")
          .always("services", &R::services, "that it was built for; of a folder none");
  return table;
}

const Fields& BuildReply::fields() {
  static const Fields table =
      FieldsOf<BuildReply>("reply build").always("apps", &BuildReply::apps, "each once");
  return table;
}

const Fields& BuildLogPlace::fields() {
  using R = BuildLogPlace;
  static const Fields table =
      FieldsOf<R>("log of a build")
          .always("name", &R::name, "of the service, or the folder's path")
          .always("dir", &R::dir, "the segments' folder: src/base/log/log_format.h");
  return table;
}

const Fields& BuildLogsReply::fields() {
  using R = BuildLogsReply;
  static const Fields table =
      FieldsOf<R>("reply build/logs").always("logs", &R::logs, "of each app, newest first");
  return table;
}

const Fields& CachedApp::fields() {
  using R = CachedApp;
  static const Fields table =
      FieldsOf<R>("cached app")
          .always("app", &R::app, "its name here")
          .always("project", &R::project, "null: a folder's, or not known")
          .always("path", &R::path, "the source's folder; null: not known")
          .always("builder", &R::builder, "an image; null: as project.toml says, or not known")
          .always("bytes", &R::bytes, "on the disk")
          .always("generations", &R::generations, "builds that are kept")
          .always("last_used", &R::last_used, "RFC 3339, UTC; null: not known")
          .always("in_use", &R::in_use, "a container, running or kept, stands on it");
  return table;
}

const Fields& CacheListReply::fields() {
  using R = CacheListReply;
  static const Fields table =
      FieldsOf<R>("reply cache/ls").always("caches", &R::caches, "one for each app");
  return table;
}

const Fields& CacheRemoveReply::fields() {
  using R = CacheRemoveReply;
  static const Fields table = FieldsOf<R>("reply cache/rm").always("removed", &R::removed, "names");
  return table;
}

const Fields& CachePruneReply::fields() {
  using R = CachePruneReply;
  static const Fields table =
      FieldsOf<R>("reply cache/prune").always("removed", &R::removed, "as they were");
  return table;
}

}  // namespace locald::ipc
