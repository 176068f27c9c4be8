#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/node/node.h"
#include "base/node/text_problem.h"

/// YAML as a syntax of a Node, as compose files are read: scalars by the rules of YAML 1.2 with the
/// octal numbers of 1.1 (yaml_scalar.h), `<<` merges, anchors are copied where an alias stands. The
/// scanner beneath is libyaml, seen by yaml_parse.cc alone. Thread-safe.
///
/// A node knows line and column of its value and of its key; what an alias or `<<` brought keeps
/// the place where it is written. Keys are strings, and no table has one twice.
namespace locald::project {

struct YamlLimits {
  std::size_t max_bytes = 4u << 20;  ///< refused before parsing
  int max_depth = 100;               ///< tables and arrays within each other
  /// Each alias counts as all that it stands for, and what has an anchor counts twice.
  std::size_t max_nodes = 100'000;
};

/// A value with the tag `!reset` (it is not in the document) or `!override` (it is): what an
/// earlier file has at `path` is to be removed. Marks within arrays have no effect and are left
/// out.
struct YamlMark {
  std::vector<std::string> path;  ///< keys from the document's root
  SourcePos at;
};

/// A number that is written otherwise than it will be read: `010` is 8, `1_000` is 1000.
struct YamlRespelled {
  SourcePos at;
  std::string text;  ///< as it is written
};

struct YamlDocument {
  Node root;
  std::vector<YamlMark> marks;
  std::vector<YamlRespelled> respelled;
};

/// Parses all documents of a text; an empty one has none.
/// @param file  What messages call the text; it is not opened.
/// @return what is wrong, `out` then being empty; nullopt when all is well.
std::optional<TextProblem> parse_yaml(std::vector<YamlDocument>& out, std::string_view text,
                                      const std::string& file, const YamlLimits& limits = {});

}  // namespace locald::project
