#include "cnb/buildpacks/buildpack_jobs.h"

namespace locald::cnb {
namespace {

template <class J>
FieldsOf<J> store_fields() {
  return FieldsOf<J>(std::string("job ") + J::kOp)
      .always("op", &J::op, "which job it is")
      .flat(&J::world)
      .required_path("store", &J::store, "the store's folder");
}

template <class J>
FieldsOf<J> key_fields() {
  return store_fields<J>().required("key", &J::key, "where it will be in the store");
}

}  // namespace

const Fields& BuildpackFolderJob::fields() {
  using J = BuildpackFolderJob;
  static const Fields table = key_fields<J>()
                                  .required_path("folder", &J::folder, "the buildpack's")
                                  .required_path("index", &J::index, "the scan of it");
  return table;
}

const Fields& BuildpackArchiveJob::fields() {
  using J = BuildpackArchiveJob;
  static const Fields table = store_fields<J>().required_path("path", &J::path, "the archive");
  return table;
}

const Fields& BuildpackUrlJob::fields() {
  using J = BuildpackUrlJob;
  static const Fields table = store_fields<J>()
                                  .required("url", &J::url, "where it is")
                                  .field("etag", &J::etag, "of the copy in the store");
  return table;
}

const Fields& BuildpackScriptJob::fields() {
  using J = BuildpackScriptJob;
  static const Fields table = key_fields<J>().required("files", &J::files, "by path");
  return table;
}

const Fields& BuildpackHideJob::fields() {
  using J = BuildpackHideJob;
  static const Fields table =
      key_fields<J>().required("buildpacks", &J::buildpacks, "each an id and a version");
  return table;
}

const Fields& BuildpackResult::fields() {
  using R = BuildpackResult;
  static const Fields table = FieldsOf<R>("buildpack")
                                  .field("changed", &R::changed, "while it was copied")
                                  .field("key", &R::key, "where it is in the store")
                                  .field("stamp", &R::stamp, "of the archive")
                                  .field("etag", &R::etag, "of the download")
                                  .field("not_modified", &R::not_modified, "nothing came");
  return table;
}

}  // namespace locald::cnb
