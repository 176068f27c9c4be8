#pragma once
#include <functional>

#include "base/json/json.h"
#include "base/result.h"

namespace locald::cnb {

/// The jobs that make what is in the store of added buildpacks (buildpack_store.h). In a worker,
/// since owners in it are the container's. Members of all: store, its folder.
///
/// op                     its members                       result
/// cnb_buildpack_folder   key, folder, index: copies what   {} or {changed:[]}: scan and call again
///                        the scan in the file `index` has
/// cnb_buildpack_archive  path: a tar of a buildpack's      {key, stamp}
///                        folder, plain, gzip or zstd; or
///                        a package (.cnb)
/// cnb_buildpack_url      url, etag: downloads such a one   {key, etag} or {not_modified: true}
/// cnb_buildpack_script   key, files:{path: text}           {}
/// cnb_buildpack_hide     key, buildpacks:[[id, version]]   {}
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
