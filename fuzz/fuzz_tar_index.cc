#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "oci/archive/tar_index.h"

/// Property: it ends, and no member lies outside of the file.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const int fd = ::memfd_create("tar", MFD_CLOEXEC);
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size))
    return 0;
  auto index = locald::oci::TarIndex::scan(fd);
  if (!index) return 0;
  for (const char* name : {"manifest.json", "index.json", "a", "a/b", "../x", ""}) {
    const auto* member = index->find(name);
    if (member != nullptr && (member->offset > size || member->size > size - member->offset))
      std::abort();
  }
  return 0;
}
