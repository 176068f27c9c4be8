#pragma once
#include <optional>
#include <string_view>

#include "base/text_problem.h"

/// What a source includes before <toml++/toml.h>: the same settings everywhere, since they are
/// part of inline functions that the linker merges.
#define TOML_EXCEPTIONS 0   // errors are values here
#define TOML_HEADER_ONLY 1  // the shared library is built with exceptions
/// 3.3.0 asserts what a text can make untrue ("[[ [") right before it looks itself and reports an
/// error: without this a debug build ends there.
#define TOML_ASSERT(expr) static_assert(true)

namespace locald {

/// To be asked before toml++ reads a text from outside, for it stumbles over some:
///  - tables and arrays that nest more than about `max_depth` deep (a dot outside of strings counts
///    as a level, be it a decimal point). toml++ limits brackets within values, but not the parts
///    of a dotted key, and frees its tree by recursion: a megabyte of "a.a.a.…" takes the stack;
///  - characters outside of ASCII where neither a string nor a comment is, which TOML does not
///    allow, and about which toml++ asks a function that has no answer for most of them.
/// @return what it stumbles over, with its place; `file` is left empty. Linear in the text.
std::optional<TextProblem> toml_obstacle(std::string_view text, int max_depth);

}  // namespace locald
