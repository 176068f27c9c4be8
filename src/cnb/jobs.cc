#include "cnb/jobs.h"

namespace locald::cnb {
namespace {

using runtime::job_fields;

template <class J>
FieldsOf<J> app_fields() {
  return job_fields<J>().flat(&J::app);
}

}  // namespace

const Fields& JobApp::fields() {
  static const Fields table = FieldsOf<JobApp>("app")
                                  .required_path("top", &JobApp::top, "the app's folder")
                                  .required("uid", &JobApp::uid, "the build user's")
                                  .required("gid", &JobApp::gid, "the build user's");
  return table;
}

const Fields& JobFile::fields() {
  static const Fields table = FieldsOf<JobFile>("file")
                                  .required("path", &JobFile::path, "")
                                  .required("text", &JobFile::text, "");
  return table;
}

const Fields& JobFiles::fields() {
  using J = JobFiles;
  static const Fields table = FieldsOf<J>("files")
                                  .field("folders", &J::folders, "that are made")
                                  .field("files", &J::files, "that are written");
  return table;
}

const Fields& JobStaging::fields() {
  using J = JobStaging;
  static const Fields table =
      FieldsOf<J>("staging")
          .required_path("source", &J::source, "whose descriptor is handed over")
          .required("want", &J::want, "the scan of the source")
          .required("have", &J::have, "the scan of the copy")
          .required("spare", &J::spare, "the copy");
  return table;
}

const Fields& StagingResult::fields() {
  using R = StagingResult;
  static const Fields table = FieldsOf<R>("staging")
                                  .field("changed", &R::changed, "while it was copied")
                                  .field("copied", &R::copied, "files")
                                  .field("bytes", &R::bytes, "of them");
  return table;
}

const Fields& BeginJob::fields() {
  using J = BeginJob;
  static const Fields table = app_fields<J>()
                                  .flat(&J::make)
                                  .flat(&J::staging)
                                  .required("workspace", &J::workspace, "where the copy goes")
                                  .field("previous", &J::previous, "a layout's folder");
  return table;
}

const Fields& FilesJob::fields() {
  static const Fields table = app_fields<FilesJob>().flat(&FilesJob::make);
  return table;
}

const Fields& RestoreJob::fields() {
  static const Fields table =
      app_fields<RestoreJob>().field("before", &RestoreJob::before, "the earlier generation");
  return table;
}

const Fields& RestoreResult::fields() {
  using R = RestoreResult;
  static const Fields table = FieldsOf<R>("restored")
                                  .field("layers", &R::layers, "the tree of each")
                                  .required("stamp_ns", &R::stamp_ns, "by the file system's clock")
                                  .required("clock_ns", &R::clock_ns, "by the clock since boot");
  return table;
}

const Fields& CommitJob::fields() {
  using J = CommitJob;
  static const Fields table = app_fields<J>()
                                  .required("number", &J::number, "of the new generation")
                                  .field("before", &J::before, "the earlier generation")
                                  .required("restored", &J::restored, "what restoring came to")
                                  .required("lowers", &J::lowers, "the builder's layers")
                                  .field("lower_base", &J::lower_base, "where relative ones start");
  return table;
}

const Fields& WrittenJob::fields() {
  using J = WrittenJob;
  static const Fields table = app_fields<J>()
                                  .required("workspace", &J::workspace, "the build's")
                                  .required("want", &J::want, "the scan of the source")
                                  .required("folders", &J::folders, "that are looked through");
  return table;
}

const Fields& WrittenResult::fields() {
  static const Fields table =
      FieldsOf<WrittenResult>("written").field("paths", &WrittenResult::paths, "not of the source");
  return table;
}

const Fields& SpareJob::fields() {
  using J = SpareJob;
  static const Fields table =
      app_fields<J>().flat(&J::staging).field("trees", &J::trees, "that are copied");
  return table;
}

const Fields& ExportOwner::fields() {
  static const Fields table = FieldsOf<ExportOwner>("owner")
                                  .required("uid", &ExportOwner::uid, "")
                                  .required("gid", &ExportOwner::gid, "");
  return table;
}

const Fields& ExportJob::fields() {
  using J = ExportJob;
  static const Fields table = app_fields<J>()
                                  .required("generation", &J::generation, "that is packed")
                                  .field("known", &J::known, "layers that were packed before")
                                  .required("owner", &J::owner, "whose everything is");
  return table;
}

const Fields& ExportResult::fields() {
  using R = ExportResult;
  static const Fields table = FieldsOf<R>("packed")
                                  .required("packed", &R::packed, "all layers")
                                  .field("made", &R::made, "how many of them are new");
  return table;
}

const Fields& CheckLayoutJob::fields() {
  using J = CheckLayoutJob;
  static const Fields table = app_fields<J>().required("folder", &J::folder, "a layout's");
  return table;
}

const Fields& LayoutConfigJob::fields() {
  using J = LayoutConfigJob;
  static const Fields table = app_fields<J>().required("folder", &J::folder, "a layout's");
  return table;
}

const Fields& LayoutConfigResult::fields() {
  using R = LayoutConfigResult;
  static const Fields table =
      FieldsOf<R>("configuration").required("config", &R::config, "the document");
  return table;
}

const Fields& UsageJob::fields() {
  static const Fields table =
      job_fields<UsageJob>().required_path("path", &UsageJob::path, "what is counted");
  return table;
}

const Fields& UsageResult::fields() {
  static const Fields table =
      FieldsOf<UsageResult>("usage").required("bytes", &UsageResult::bytes, "on the disk");
  return table;
}

}  // namespace locald::cnb
