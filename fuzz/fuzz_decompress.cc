// Any bytes as a compressed layer. What comes out must not depend on how the bytes are cut, and
// stay within the ratio.
#include <cstdio>
#include <cstdlib>

#include "oci/archive/decompress.h"
#include "oci/archive/test_tar.h"

namespace {

using namespace locald::oci;

struct Outcome {
  std::string bytes;
  bool failed = false;
};

Outcome inflate(const std::string& input, std::size_t step) {
  LayerLimits limits;
  limits.ratio_from_bytes = 1u << 20;
  limits.max_ratio = 100;
  limits.max_zstd_window_log = 22;
  test::StringSource source(input, step);
  Decompressor inflated(source, "", limits);
  Outcome out;
  std::string error;
  out.bytes = test::read_to_end(inflated, &error);
  out.failed = !error.empty();
  if (!out.failed && !source.drained()) std::abort();
  if (out.bytes.size() > (1u << 20) + 101 * (input.size() + 4096)) std::abort();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const Outcome whole = inflate(input, input.size() + 1);
  // After an error the bytes before it may come to more or less, by the codec's own steps.
  const Outcome cut = inflate(input, 1 + size % 13);
  if (whole.failed != cut.failed || (!whole.failed && whole.bytes != cut.bytes)) std::abort();
  return 0;
}
