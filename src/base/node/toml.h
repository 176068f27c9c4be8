#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/node/node.h"
#include "base/node/text_problem.h"
#include "base/result.h"

/// TOML (toml.io, v1.0) as one syntax of a Node. The parser beneath is toml++, seen by
/// toml_parse.cc alone. Thread-safe.
///
///     auto layer = Node::table({{"types", Node::table({{"launch", true}})}});
///     auto bytes = TRY(write_toml(layer));     // as the lifecycle would have laid them out
namespace locald {

struct TomlLimits {
  std::size_t max_bytes = 1u << 20;  ///< refused before parsing: the parser is not linear
  int max_depth = 64;                ///< tables and arrays within each other
};

/// Parses a whole document; the value is a table.
/// @param file  What messages call the text; it is not opened.
/// @return Errc::invalid_input, "FILE:LINE:COLUMN: not TOML: …".
Result<Node> parse_toml(std::string_view text, const std::string& file,
                        const TomlLimits& limits = {});

/// The same where problems are collected.
/// @return what is wrong, `out` then being a nothing; nullopt when all is well.
std::optional<TextProblem> parse_toml_to(Node& out, std::string_view text, const std::string& file,
                                         const TomlLimits& limits = {});

/// The document's text, laid out as Go's BurntSushi/toml v1 encoder lays it out, so
/// that files are the same byte for byte whether the CNB lifecycle wrote them or locald
/// did: in each table the simple values first, then tables and arrays of tables,
/// nested ones indented by two blanks; a blank line before each `[table]` at the top
/// and before each `[[element]]`; floats always with a point or an exponent. Members
/// that are nothing are left out.
///
/// A Go struct is a table as it stands here, a Go map is one that is sorted().
/// The one difference: a nothing at the end of an inline table makes Go write
/// `{a = 1, }`, which TOML 1.0 forbids; here it is `{a = 1}`.
/// @return Errc::invalid_input if `document` is not a table, or an array holds a nothing.
Result<std::string> write_toml(const Node& document);

}  // namespace locald
