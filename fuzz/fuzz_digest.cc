#include <cstdlib>

#include "oci/ref/digest.h"

/// Property: what parses prints back the same and is safe as a file name.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto digest = locald::oci::Digest::parse(text))
    if (digest->str() != text || digest->hex().size() != 64 ||
        digest->hex().find_first_not_of("0123456789abcdef") != std::string::npos)
      std::abort();
  return 0;
}
