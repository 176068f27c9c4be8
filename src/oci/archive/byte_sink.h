#pragma once
#include <cstddef>
#include <span>

#include "base/result.h"

namespace locald::oci {

/// A stream of bytes that is pushed: a file being written, a hash, a compressor. One
/// writer, one thread.
class ByteSink {
 public:
  virtual ~ByteSink() = default;

  /// Takes all of `chunk`, which is the caller's again afterwards. After an error the sink is
  /// of no further use.
  virtual Result<void> write(std::span<const std::byte> chunk) = 0;
};

}  // namespace locald::oci
