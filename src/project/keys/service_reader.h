#pragma once
#include <string>
#include <vector>

#include "project/keys/key_reader.h"

namespace locald::project {

/// Reads the table [services.`name`], and appends what it describes: one service, and for
/// type = "cnb" one more for each entry of `processes`. What is wrong is in the sink.
void read_service(const std::string& name, const Node& table, Sink& sink,
                  std::vector<ServiceSpec>& out);

}  // namespace locald::project
