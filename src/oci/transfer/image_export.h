#pragma once
#include <cstdint>
#include <functional>
#include <stop_token>

#include "base/result.h"
#include "base/sys/path_judge.h"
#include "oci/ref/reference.h"
#include "oci/store/image_layout.h"
#include "oci/store/image_store.h"

namespace locald::oci {

struct ExportOptions {
  std::stop_token stop;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  ///< bytes; may be empty
};

/// Copies a stored image to where others read it: `oci:DIR[:NAME]`, an OCI image layout, or
/// `oci-archive:FILE[:NAME]`, the same in a tar. Documents and layers are the stored ones, each
/// verified on the way; without a name the image is "latest" there.
///
/// An existing layout is added to: what else it holds stays, the name moves. An existing FILE is
/// replaced in one step. Any other folder that is not empty is refused. After an error, cancelled
/// too, everything is as it was: nothing half-written is left. Where it goes is judged
/// (base/sys/path_judge.h), and written to by descriptor: no container can lead it elsewhere.
/// @return Errc::invalid_input: another transport, a folder that is not a layout; Errc::no_space;
///         Errc::corrupt: a blob in the store is damaged; Errc::cancelled.
Result<void> export_image(const ImageLayout& store, const StoredImage& image,
                          const ImageReference& target, const PathJudge& judge,
                          const ExportOptions& options);

}  // namespace locald::oci
