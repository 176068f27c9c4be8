// Any bytes as a tar: it ends, keeps its limits, and finds the same entries however the bytes are
// cut.
#include <cstdlib>

#include "oci/archive/tar_reader.h"
#include "oci/archive/test_tar.h"

namespace {

using namespace locald::oci;

std::string list(const std::string& input, std::size_t step) {
  LayerLimits limits;
  limits.max_entries = 2000;
  test::StringSource source(input, step);
  TarReader reader(source, limits);
  TarEntry entry;
  std::string out;
  std::uint64_t data_bytes = 0;
  while (true) {
    const auto more = reader.next(entry);
    if (!more) return out + "error";
    if (!*more) break;
    if (entry.path.size() > limits.max_path_bytes || entry.link.size() > limits.max_link_bytes)
      std::abort();
    out += std::to_string(static_cast<int>(entry.type)) + entry.path + '\0' + entry.link + '\0' +
           std::to_string(entry.size) + "\n";
    std::uint64_t end = 0;
    while (entry.type == TarEntry::Type::file) {
      const auto block = reader.data();
      if (!block) return out + "error";
      if (!*block) break;
      if ((*block)->offset < end) std::abort();
      end = (*block)->offset + (*block)->bytes.size();
      data_bytes += (*block)->bytes.size();
      if (data_bytes > input.size()) std::abort();
    }
  }
  if (!source.drained()) std::abort();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  if (list(input, input.size() + 1) != list(input, 512 + size % 1000)) std::abort();
  return 0;
}
