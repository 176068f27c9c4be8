#include "ipc/messages/image.h"

namespace locald::ipc {
namespace {

constexpr const char* kStoredDoc = "a name or id of image/ls";
constexpr const char* kCwdDoc = "absolute: relative paths in images start here";
constexpr const char* kLoginsDoc = "absolute paths: where logins for registries are";

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

}  // namespace locald::ipc
