#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/spec/descriptor.h"
#include "oci/transfer/image_origin.h"

namespace locald::oci {

/// An OCI layout in a tar file, read in place. The tar must not be compressed.
/// @param name  which image of it; "" where there is only one.
Result<std::unique_ptr<ImageOrigin>> open_oci_archive(const std::string& file,
                                                      const std::string& name);

/// What `docker save` and `podman save` write: manifest.json, a config and the
/// layers as tars. The image manifest is made here: the blobs are the
/// archive's, so the layers' digests are their diff ids.
/// @param name  "redis:7" or a complete name; "" where there is only one image.
Result<std::unique_ptr<ImageOrigin>> open_docker_archive(const std::string& file,
                                                         const std::string& name);

/// The entry of an index that bears `name`. @return Errc::not_found naming the entries.
Result<Descriptor> choose_by_name(const std::vector<Descriptor>& entries, const std::string& name);

}  // namespace locald::oci
