#include "netd/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>

namespace locald::netd {
namespace {

constexpr std::uintptr_t kPage = 4096;

int forget_pages(dl_phdr_info* object, std::size_t, void*) {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
    const std::uintptr_t start = (object->dlpi_addr + part.p_vaddr) & ~(kPage - 1),
                         end = (object->dlpi_addr + part.p_vaddr + part.p_memsz) & ~(kPage - 1);
    if (end > start) ::madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void give_back_memory() {
  ::malloc_trim(0);
  ::dl_iterate_phdr(forget_pages, nullptr);
}

}  // namespace locald::netd
