#pragma once
#include <functional>

#include "base/json/json.h"
#include "base/result.h"

namespace locald::cnb {

/// The jobs that make what is in the store of added buildpacks (buildpack_store.h). In a worker,
/// since owners in it are the container's. What each has and comes to: buildpack_jobs.h.
///
/// Progress: {done, total} in bytes, while something comes from the network.
/// @return Errc::invalid_input for what is not a buildpack, with what is wrong; Errc::corrupt for
///         archives that are damaged or cut; what download() says.
Result<Json> buildpack_folder_job(const Json& job, const std::function<void(Json)>& progress);
Result<Json> buildpack_archive_job(const Json& job, const std::function<void(Json)>& progress);
Result<Json> buildpack_url_job(const Json& job, const std::function<void(Json)>& progress);
Result<Json> buildpack_script_job(const Json& job, const std::function<void(Json)>& progress);
Result<Json> buildpack_hide_job(const Json& job, const std::function<void(Json)>& progress);

/// "inode-size-mtime-ctime": what tells without reading it that a file is as it was; "" where it is
/// not a regular file, or so young that it may change unseen.
std::string file_stamp(int fd);

}  // namespace locald::cnb
