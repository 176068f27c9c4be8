#pragma once
#include <string>

#include "base/result.h"
#include "cnb/store/app_folder.h"

namespace locald::cnb {

/// Makes the image that the real exporter left in `folder`, an OCI layout, ready to be the previous
/// image of the next build: of its blobs the manifest, the configuration and the layer of bills of
/// materials stay, which are all that a lifecycle reads; it would decompress every other one that
/// it finds. For a worker.
///
/// An image of which one of those is missing or has other bytes than its digest says is removed
/// whole: every phase would refuse it, in every build from then on. The next one is as a first one.
/// @return Errc of what could not be removed; a folder that is not there is fine.
Result<void> thin_previous_image(const AppFolder& app, const std::string& folder);

}  // namespace locald::cnb
