#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "cnb/buildpacks/buildpack_tree.h"
#include "cnb/inputs/order.h"
#include "oci/archive/byte_source.h"

namespace locald::cnb {

/// What a look through an archive tells before anything of it is written.
struct ArchiveSurvey {
  bool image_layout = false;  ///< an OCI layout: a package
  std::string top;  ///< the one folder that all of a buildpack lies in; "" where it lies at the top
};
/// Reads an archive to its end. A buildpack.toml stands at its top, or in the one folder there is.
/// @return Errc::invalid_input: no buildpack, names that lead out, devices and their like;
///         Errc::corrupt: damaged, cut; Errc::unsupported: no tar.
Result<ArchiveSurvey> survey_archive(oci::ByteSource& archive);

/// Unpacks the archive in `fd` (borrowed; its path is `path`) into `into`, and puts what is in it
/// into place.
/// @param images  The image store's folder, for documents of packages.
/// @return the modules, the one that the archive is named for first.
Result<std::vector<Module>> unpack_buildpacks(int fd, const std::string& path,
                                              const std::string& images, BuildpackTree& into);

}  // namespace locald::cnb
