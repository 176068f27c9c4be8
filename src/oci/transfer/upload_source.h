#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/sys/unique_fd.h"
#include "oci/archive/byte_source.h"

/// What uploads send.
namespace locald::oci {

/// Hears how far an upload has come.
using Told = std::function<void(std::uint64_t position)>;

std::unique_ptr<ByteSource> text_source(std::string text);

/// A whole blob, told of as it is sent. Its last bytes are given only when all were right.
std::unique_ptr<ByteSource> whole_source(std::unique_ptr<ByteSource> verified, std::uint64_t size,
                                         Told told);

/// The bytes of a file from one offset to another.
std::unique_ptr<ByteSource> part_source(UniqueFd file, std::uint64_t from, std::uint64_t to,
                                        Told told);

}  // namespace locald::oci
