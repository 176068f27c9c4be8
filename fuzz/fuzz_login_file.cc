#include <cstdlib>
#include <string_view>

#include "oci/registry/login_file.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto found =
      locald::oci::parse_login_file({reinterpret_cast<const char*>(data), size}, "config.json",
                                    "registry.example:5000", "team/app");
  if (found.login)
    for (const std::string& text : {found.login->user, found.login->password})
      for (const char c : text)
        if (static_cast<unsigned char>(c) < ' ') std::abort();  // it would break a header
  return 0;
}
