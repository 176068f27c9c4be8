#include <cstdlib>

#include "oci/ref/reference.h"

/// Property: what parses prints a name that means the same, and a registry's
/// parts hold nothing that could change the URL they are put into.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using locald::oci::ImageReference;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto reference = ImageReference::parse(text);
  if (!reference) return 0;
  auto again = ImageReference::parse(reference->name());
  if (!again || !(*again == *reference)) std::abort();
  auto short_form = ImageReference::parse(reference->familiar());
  if (!short_form || !(*short_form == *reference)) std::abort();
  if (!reference->is_registry()) return 0;
  constexpr const char* kBad = " /?#@%\\\r\n\t";
  if (reference->registry.find_first_of(kBad) != std::string::npos) std::abort();
  if (reference->tag.find_first_of(kBad) != std::string::npos ||
      reference->tag.find(':') != std::string::npos)
    std::abort();
  if (reference->repository.find_first_of(" ?#@%\\:\r\n\t") != std::string::npos) std::abort();
  if (("/" + reference->repository + "/").find("/../") != std::string::npos ||
      reference->repository.empty())
    std::abort();
  return 0;
}
