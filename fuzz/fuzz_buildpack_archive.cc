#include <cstdlib>
#include <span>
#include <string>

#include "cnb/buildpacks/buildpack_archive.h"
#include "oci/archive/test_tar.h"

/// A look through an archive. Property: the folder that a buildpack is said to lie in is one name.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  for (const std::size_t step : {std::size_t{1} << 20, std::size_t{100}}) {
    locald::oci::test::StringSource source(std::string(reinterpret_cast<const char*>(data), size),
                                           step);
    const auto found = locald::cnb::survey_archive(source);
    if (!found) continue;
    if (found->top == "." || found->top == ".." || found->top.find('/') != std::string::npos)
      std::abort();
  }
  return 0;
}
