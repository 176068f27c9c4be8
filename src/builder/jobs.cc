#include "builder/jobs.h"

namespace locald::builder {
namespace {

template <class J>
FieldsOf<J> job_fields() {
  return FieldsOf<J>(std::string("job ") + J::kOp)
      .always("op", &J::op, "which job it is")
      .flat(&J::world);
}

/// What jobs that speak to a registry have in common.
template <class J>
FieldsOf<J> registry_fields() {
  return job_fields<J>()
      .required("image", &J::image, "its name")
      .field("login", &J::login, "for the registry")
      .field("login_hint", &J::login_hint, "what to do where the registry refuses");
}

template <class J>
FieldsOf<J> tree_fields() {
  return job_fields<J>()
      .required("lowers", &J::lowers, "the layers' folders, the uppermost first")
      .field("lower_base", &J::lower_base, "where relative ones start");
}

}  // namespace

const Fields& JobWorld::fields() {
  using W = JobWorld;
  static const Fields table = FieldsOf<W>("job")
                                  .field("file", &W::file, "a descriptor that is handed over")
                                  .path("images", &W::images, "the folder of images")
                                  .path("layers", &W::layers, "the folder of layers")
                                  .path("scratch", &W::scratch, "a folder to mount in")
                                  .field("id_map", &W::id_map, "root, subuid or single")
                                  .field("map_id", &W::map_id, "names the map of layers");
  return table;
}

const Fields& JobLogin::fields() {
  static const Fields table = FieldsOf<JobLogin>("login")
                                  .required("user", &JobLogin::user, "")
                                  .required("password", &JobLogin::password, "");
  return table;
}

const Fields& PullJob::fields() {
  static const Fields table =
      registry_fields<PullJob>().required("policy", &PullJob::policy, "always, missing or never");
  return table;
}

const Fields& UnpackJob::fields() {
  static const Fields table = registry_fields<UnpackJob>().required("policy", &UnpackJob::policy,
                                                                    "always, missing or never");
  return table;
}

const Fields& PushJob::fields() {
  static const Fields table = registry_fields<PushJob>()
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
