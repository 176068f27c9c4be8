#include "ipc/messages/store.h"

namespace locald::ipc {
namespace {

constexpr const char* kInStoreDoc = "a name or id of image/ls";
constexpr const char* kFromHereDoc = "absolute: relative paths in images start here";

}  // namespace

const Fields& ImageTagReply::fields() {
  using R = ImageTagReply;
  static const Fields table = FieldsOf<R>("reply image/tag")
                                  .always("name", &R::name, "the new one, as in `image/ls`")
                                  .always("digest", &R::digest, "of its manifest");
  return table;
}

const Fields& ImageTagRequest::fields() {
  using R = ImageTagRequest;
  static const Fields table =
      FieldsOf<R>("request image/tag")
          .required("image", &R::image, kInStoreDoc)
          .required("target", &R::target, "a name; where another image has it, it moves")
          .path("cwd", &R::cwd, kFromHereDoc);
  return table;
}

const Fields& ImageStep::fields() {
  using R = ImageStep;
  static const Fields table =
      FieldsOf<R>("image step")
          .always("created", &R::created, "as the image says")
          .always("created_by", &R::created_by, "the command, as the image says")
          .always("comment", &R::comment, "as the image says")
          .always("empty", &R::empty, "it made no layer")
          .always("size", &R::size, "bytes of its layer, compressed")
          .always("diff_id", &R::diff_id, "of its layer; empty: it has none");
  return table;
}

const Fields& ImageHistoryReply::fields() {
  using R = ImageHistoryReply;
  static const Fields table = FieldsOf<R>("reply image/history")
                                  .always("image", &R::image, "as image/ls has it")
                                  .always("steps", &R::steps, "the last one first");
  return table;
}

const Fields& ImageHistoryRequest::fields() {
  using R = ImageHistoryRequest;
  static const Fields table = FieldsOf<R>("request image/history")
                                  .required("image", &R::image, kInStoreDoc)
                                  .path("cwd", &R::cwd, kFromHereDoc);
  return table;
}

const Fields& ImagePruneReply::fields() {
  using R = ImagePruneReply;
  static const Fields table =
      FieldsOf<R>("reply image/prune")
          .always("removed", &R::removed, "names; with \"dry_run\" those that would be")
          .always("kept", &R::kept, "names that nothing uses, and that \"all\" would remove")
          .always("freed_bytes", &R::freed_bytes, "on the disk, compressed and unpacked");
  return table;
}

const Fields& ImagePruneRequest::fields() {
  using R = ImagePruneRequest;
  static const Fields table =
      FieldsOf<R>("request image/prune")
          .field("all", &R::all,
                 "images too that no container and no project that is up uses; else only what no "
                 "name leads to")
          .field("dry_run", &R::dry_run, "says what would be removed, and removes nothing");
  return table;
}

const Fields& LoginReply::fields() {
  using R = LoginReply;
  static const Fields table = FieldsOf<R>("reply registry/login")
                                  .always("registry", &R::registry, "as images name it")
                                  .always("asked", &R::asked, "false: it answers without a login");
  return table;
}

const Fields& LoginRequest::fields() {
  using R = LoginRequest;
  static const Fields table = FieldsOf<R>("request registry/login")
                                  .required("registry", &R::registry, "registry.example:5000")
                                  .required("user", &R::user, "its user")
                                  .required("password", &R::password, "kept nowhere");
  return table;
}

const Fields& DiskUse::fields() {
  using R = DiskUse;
  static const Fields table =
      FieldsOf<R>("disk use")
          .always("kind", &R::kind, "images, layers, containers, volumes, builds or logs")
          .always("count", &R::count, "how many there are")
          .always("bytes", &R::bytes, "what they take")
          .always("free_count", &R::free_count, "of them: not in use")
          .always("free_bytes", &R::free_bytes, "what those take")
          .always("command", &R::command, "what removes them");
  return table;
}

const Fields& DiskReply::fields() {
  using R = DiskReply;
  static const Fields table = FieldsOf<R>("reply system/df")
                                  .always("data", &R::data, "the folder of all but logs")
                                  .always("state", &R::state, "the folder of logs")
                                  .always("uses", &R::uses, "one of each kind");
  return table;
}

const Fields& DiskRequest::fields() {
  static const Fields table = FieldsOf<DiskRequest>("request system/df");
  return table;
}

}  // namespace locald::ipc
