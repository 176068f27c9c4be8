#pragma once
#include <cstdint>
#include <memory>

#include "base/sys/unique_fd.h"
#include "oci/archive/byte_source.h"
#include "oci/spec/descriptor.h"

/// Blobs as streams.
namespace locald::oci {

/// Reads a file from its first byte, whatever its position is. Owns the descriptor.
std::unique_ptr<ByteSource> file_source(UniqueFd fd, std::uint64_t max_bytes = UINT64_MAX);

/// `inner`'s bytes; ends with Errc::corrupt where they are not `blob`.
std::unique_ptr<ByteSource> verified_source(std::unique_ptr<ByteSource> inner,
                                            const Descriptor& blob);

}  // namespace locald::oci
