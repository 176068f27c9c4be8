#pragma once
#include <optional>
#include <string>

#include "base/json/fields.h"

namespace locald::runtime {

/// What every job of a worker has besides: builder::Environment::run() adds it.
struct JobWorld {
  std::optional<int> file;              ///< handed_file()
  std::string images, layers, scratch;  ///< folders
  std::string id_map;                   ///< "root", "subuid" or "single"
  std::string map_id;
  static const Fields& fields();
};

/// What the table of every job begins with: its name, and the world that it runs in.
template <class J>
FieldsOf<J> job_fields() {
  return FieldsOf<J>(std::string("job ") + J::kOp)
      .always("op", &J::op, "which job it is")
      .flat(&J::world);
}

}  // namespace locald::runtime
