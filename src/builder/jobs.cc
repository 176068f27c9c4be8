#include "builder/jobs.h"

namespace locald::builder {
namespace {

using runtime::job_fields;

template <class J>
Fields pull_fields() {
  return job_fields<J>().flat(&J::from).required("policy", &J::policy, "always, missing or never");
}

template <class J>
FieldsOf<J> tree_fields() {
  return job_fields<J>()
      .required("lowers", &J::lowers, "the layers' folders, the uppermost first")
      .field("lower_base", &J::lower_base, "where relative ones start");
}

}  // namespace

const Fields& JobLogin::fields() {
  static const Fields table = FieldsOf<JobLogin>("login")
                                  .required("user", &JobLogin::user, "")
                                  .required("password", &JobLogin::password, "");
  return table;
}

const Fields& JobImage::fields() {
  using I = JobImage;
  static const Fields table =
      FieldsOf<I>("image")
          .required("image", &I::image, "its name")
          .field("login", &I::login, "for the registry")
          .field("login_hint", &I::login_hint, "what to do where the registry refuses");
  return table;
}

const Fields& PullJob::fields() {
  static const Fields table = pull_fields<PullJob>();
  return table;
}

const Fields& UnpackJob::fields() {
  static const Fields table = pull_fields<UnpackJob>();
  return table;
}

const Fields& PushJob::fields() {
  static const Fields table = job_fields<PushJob>()
                                  .flat(&PushJob::what)
                                  .field("name", &PushJob::name, "of the image in the store")
                                  .required("target", &PushJob::target, "its name in the registry");
  return table;
}

const Fields& JobPoint::fields() {
  static const Fields table = FieldsOf<JobPoint>("mount point")
                                  .required("path", &JobPoint::path, "")
                                  .field("is_file", &JobPoint::is_file, "");
  return table;
}

const Fields& FactsJob::fields() {
  using J = FactsJob;
  static const Fields table =
      tree_fields<J>()
          .field("paths", &J::paths, "what is looked at")
          .path("upper", &J::upper, "the container's writable folder")
          .path("work", &J::work, "overlayfs's folder beside it")
          .field("fresh", &J::fresh, "the writable folder gets owner and mode of the root")
          .field("create", &J::create, "mount points that are made")
          .field("room", &J::room, "bytes that the mount's options have left");
  return table;
}

const Fields& VolumeJob::fields() {
  using J = VolumeJob;
  static const Fields table =
      tree_fields<J>()
          .required("source", &J::source, "a folder of the image")
          .required_path("target", &J::target, "made with the content of the source");
  return table;
}

const Fields& RemoveTreesJob::fields() {
  using J = RemoveTreesJob;
  static const Fields table =
      job_fields<J>().required("paths", &J::paths, "folders that are removed");
  return table;
}

const Fields& RemoveLayersJob::fields() {
  using J = RemoveLayersJob;
  static const Fields table =
      job_fields<J>().required("diff_ids", &J::diff_ids, "of layers that are removed");
  return table;
}

}  // namespace locald::builder
