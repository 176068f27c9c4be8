#include "runtime/runtime_program.h"

#include <unistd.h>

#include "base/paths.h"
#include "base/sys/spawn.h"

namespace locald::runtime {

std::string find_runtime(const std::string& name, const std::string& search_path,
                         const std::string& packaged) {
  if (name.empty()) return {};
  if (name.find('/') != std::string::npos) return name;
  if (name == "runc") {
    if (auto own = find_own_program("runc")) return *own;
    if (!packaged.empty() && ::access(packaged.c_str(), X_OK) == 0) return packaged;
  }
  return find_program(name, search_path).value_or("");
}

}  // namespace locald::runtime
