#pragma once
#include <cstddef>
#include <span>

#include "base/result.h"

namespace locald::oci {

/// A stream of bytes that is pulled: a blob on disk, a download, the inside of
/// a compressed layer. One reader, one thread.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// The next bytes; an empty span is the end, and stays the end. The span is
  /// valid until the next call. After an error the source is of no further use.
  virtual Result<std::span<const std::byte>> read() = 0;
};

}  // namespace locald::oci
