#pragma once
#include <string>
#include <string_view>

#include "base/paths.h"

/// More names of the tree that base/paths.h draws:
///
///     STATE
///     |-- server.lock                held by the server: one for all run folders that share this
///     |                              state folder, also where one of those is deleted
///     `-- instances/<instance>.json  instance.json once more, for when the run folder is deleted;
///                                    no environments
namespace locald {

inline std::string state_lock(const Paths& paths) { return paths.state() + "/server.lock"; }
inline std::string instance_records(const Paths& paths) { return paths.state() + "/instances"; }
inline std::string instance_record(const Paths& paths, std::string_view id) {
  return instance_records(paths) + "/" + std::string(id) + ".json";
}

}  // namespace locald
