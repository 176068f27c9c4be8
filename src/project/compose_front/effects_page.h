#pragma once
#include <string>

namespace locald::project::compose {

/// The end of docs/compose.md: what each key does, as tables in Markdown.
std::string effects_page();

}  // namespace locald::project::compose
