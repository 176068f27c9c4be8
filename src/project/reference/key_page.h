#pragma once
#include <string>

namespace locald::project {

/// The text of docs/locald-toml.md, made of the tables that read the file.
std::string key_page();

}  // namespace locald::project
