#include "ipc/messages/image.h"

namespace locald::ipc {
namespace {

constexpr const char* kStoredDoc = "a name or id of image/ls";
constexpr const char* kCwdDoc = "absolute: relative paths in images start here";
constexpr const char* kLoginsDoc = "absolute paths: where logins for registries are";

constexpr const char* kDigestDoc = "of its manifest";
constexpr const char* kIdDoc = "the digest of its configuration";
constexpr const char* kSizeDoc = "bytes, compressed";

template <class R>
FieldsOf<R> image_fields(const char* doc) {
  return FieldsOf<R>(std::string("request ") + R::kName).required("image", &R::image, doc);
}

}  // namespace

const Fields& ImagePullRequest::fields() {
  using R = ImagePullRequest;
  static const Fields table = image_fields<R>("a name like redis:7, or oci:DIR:TAG")
                                  .field("policy", &R::policy, "always, missing or never")
                                  .path("cwd", &R::cwd, kCwdDoc)
                                  .field("login_files", &R::login_files, kLoginsDoc);
  return table;
}

const Fields& ImageListRequest::fields() {
  static const Fields table = FieldsOf<ImageListRequest>("request image/ls");
  return table;
}

const Fields& ImageInspectRequest::fields() {
  using R = ImageInspectRequest;
  static const Fields table = image_fields<R>(kStoredDoc).path("cwd", &R::cwd, kCwdDoc);
  return table;
}

const Fields& ImageRemoveRequest::fields() {
  using R = ImageRemoveRequest;
  static const Fields table =
      FieldsOf<R>("request image/rm").field("images", &R::images, "names or ids of image/ls");
  return table;
}

const Fields& ImageUnpackRequest::fields() {
  using R = ImageUnpackRequest;
  static const Fields table =
      image_fields<R>("a name like redis:7, or oci:DIR:TAG")
          .required_path("dir", &R::dir, "absolute: an empty folder, or one that is not there")
          .path("cwd", &R::cwd, kCwdDoc)
          .field("login_files", &R::login_files, kLoginsDoc);
  return table;
}

const Fields& ImageExportRequest::fields() {
  using R = ImageExportRequest;
  static const Fields table =
      image_fields<R>(kStoredDoc)
          .required("target", &R::target, "oci:DIR[:TAG] or oci-archive:FILE[:TAG]")
          .path("cwd", &R::cwd, kCwdDoc);
  return table;
}

const Fields& ImagePushRequest::fields() {
  using R = ImagePushRequest;
  static const Fields table = image_fields<R>(kStoredDoc)
                                  .field("target", &R::target, "empty: the image's own name")
                                  .path("cwd", &R::cwd, kCwdDoc)
                                  .field("login_files", &R::login_files, kLoginsDoc);
  return table;
}

const Fields& ImageRebaseRequest::fields() {
  using R = ImageRebaseRequest;
  static const Fields table =
      image_fields<R>("a name of image/ls")
          .field("run_image", &R::run_image, "empty: the one that the image's label names")
          .field("force", &R::force, "also where the new run image does not fit")
          .field("policy", &R::policy, "for the run image: always, missing or never")
          .path("cwd", &R::cwd, kCwdDoc)
          .field("login_files", &R::login_files, kLoginsDoc);
  return table;
}

const Fields& ImagePullReply::fields() {
  using R = ImagePullReply;
  static const Fields table = FieldsOf<R>("reply image/pull")
                                  .always("name", &R::name, "as in `image/ls`")
                                  .always("digest", &R::digest, kDigestDoc)
                                  .always("size", &R::size, kSizeDoc)
                                  .always("contacted", &R::contacted, "its origin was asked")
                                  .always("warnings", &R::warnings, "sentences for people");
  return table;
}

const Fields& ImageEntry::fields() {
  using R = ImageEntry;
  static const Fields table = FieldsOf<R>("image")
                                  .always("name", &R::name, "a name like redis:7")
                                  .always("digest", &R::digest, kDigestDoc)
                                  .always("id", &R::id, kIdDoc)
                                  .always("size", &R::size, kSizeDoc)
                                  .always("created", &R::created, "as the image says")
                                  .always("pulled_at", &R::pulled_at, "RFC 3339, UTC")
                                  .always("layers", &R::layers, "how many it has");
  return table;
}

const Fields& ImageListReply::fields() {
  using R = ImageListReply;
  static const Fields table =
      FieldsOf<R>("reply image/ls").always("images", &R::images, "one for each name");
  return table;
}

const Fields& ImageInspectReply::fields() {
  using R = ImageInspectReply;
  static const Fields table =
      FieldsOf<R>("reply image/inspect")
          .always("image", &R::image, "as image/ls has it")
          .always("os", &R::os, "of its platform")
          .always("architecture", &R::architecture, "of its platform")
          .always("entrypoint", &R::entrypoint, "words")
          .always("command", &R::command, "words, behind those of the entrypoint")
          .always("env", &R::env, "of its configuration")
          .always("user", &R::user, "empty: root")
          .always("workdir", &R::workdir, "empty: /")
          .always("stop_signal", &R::stop_signal, "empty: SIGTERM")
          .always("volumes", &R::volumes, "paths")
          .always("exposed_ports", &R::exposed_ports, "such as 6379/tcp")
          .always("labels", &R::labels, "of its configuration")
          .always("diff_ids", &R::diff_ids, "its layers, base first");
  return table;
}

const Fields& ImageRemoveReply::fields() {
  using R = ImageRemoveReply;
  static const Fields table = FieldsOf<R>("reply image/rm")
                                  .always("removed", &R::removed, "names")
                                  .always("freed_bytes", &R::freed_bytes, "on the disk");
  return table;
}

const Fields& ImageUnpackReply::fields() {
  using R = ImageUnpackReply;
  static const Fields table = FieldsOf<R>("reply image/unpack")
                                  .always("digest", &R::digest, kDigestDoc)
                                  .always("entries", &R::entries, "files, folders and the like")
                                  .always("warnings", &R::warnings, "sentences for people");
  return table;
}

const Fields& ImageExportReply::fields() {
  using R = ImageExportReply;
  static const Fields table = FieldsOf<R>("reply image/export")
                                  .always("name", &R::name, "as in `image/ls`")
                                  .always("target", &R::target, "where it was written to")
                                  .always("digest", &R::digest, kDigestDoc)
                                  .always("id", &R::id, kIdDoc)
                                  .always("size", &R::size, kSizeDoc);
  return table;
}

const Fields& ImagePushReply::fields() {
  using R = ImagePushReply;
  static const Fields table =
      FieldsOf<R>("reply image/push")
          .always("name", &R::name, "in the registry")
          .always("digest", &R::digest, kDigestDoc)
          .always("id", &R::id, kIdDoc)
          .always("uploaded", &R::uploaded, "blobs that were sent")
          .always("mounted", &R::mounted, "blobs of other repositories of the registry")
          .always("there_before", &R::there_before, "blobs that were there")
          .always("uploaded_bytes", &R::uploaded_bytes, "of the blobs that were sent");
  return table;
}

const Fields& ImageRebaseReply::fields() {
  using R = ImageRebaseReply;
  static const Fields table =
      FieldsOf<R>("reply image/rebase")
          .always("name", &R::name, "as in `image/ls`")
          .always("digest", &R::digest, kDigestDoc)
          .always("id", &R::id, kIdDoc)
          .always("changed", &R::changed, "false: it is on that run image already")
          .always("run_image", &R::run_image, "its name")
          .always("run_image_digest", &R::run_image_digest, kDigestDoc)
          .always("notices", &R::notices, "sentences for people");
  return table;
}

}  // namespace locald::ipc
