#pragma once
#include <string>
#include <string_view>

#include "base/error.h"
#include "project/project_spec.h"

/// What messages say of keys is written once, as locald.toml has them. Of a project of another
/// syntax they are worded here, in the words and the syntax of its own file.
namespace locald::project {

/// `text` for people whose file is a compose file: `user = "NAME"` is `user: NAME`, `health` is
/// `healthcheck`, and what only locald.toml has is said otherwise.
std::string in_compose_words(std::string_view text);
Error in_compose_words(const Error& error);

/// The texts of `problems`, where `spec` is of a compose file.
void word_for(const ProjectSpec& spec, Problems& problems);

}  // namespace locald::project
