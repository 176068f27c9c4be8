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

}  // namespace locald::runtime
