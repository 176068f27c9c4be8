#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace locald::cnb {

/// A pattern as Go's filepath.Match reads it: "*" is any number of characters but "/", "?" is
/// one, "[a-z]" and "[^a-z]" are classes, "\" takes the next character as it is; the whole path
/// must match. Bytes that are not UTF-8 count as a character each.
class PathPattern {
 public:
  /// @return Errc::invalid_input for one that cannot be read, matched or not, as in Go.
  static Result<PathPattern> parse(std::string_view text);
  bool matches(std::string_view path) const;

 private:
  struct Token {
    enum class Kind : unsigned char { literal, any, star, set } kind = Kind::literal;
    char literal = 0;  // a byte
    bool negated = false;
    std::vector<std::pair<char32_t, char32_t>> ranges = {};

    std::size_t takes(std::string_view path) const;
  };
  std::vector<Token> tokens_;
};

/// A path of an app's folder, relative to it; "" is the folder itself.
struct SlicePath {
  std::string path;
  bool is_folder = false;
};

/// Which layer each path of an app goes to: one layer a slice, in their order, and one more for all
/// that none has taken. A path is taken once, with all below it; the folders above it stand in its
/// layer too, and are done with when all in them is.
/// Spec: CNB platform.md#exporter, buildpack.md#launchtoml-toml (slices).
///
/// @param paths   All there are, the folder itself first, every folder before what it holds.
/// @param slices  Patterns of each, against relative paths.
/// @return one list a layer, of indexes into `paths`, rising. Errc::invalid_input: a pattern that
///         cannot be read.
Result<std::vector<std::vector<std::size_t>>> slice_paths(
    const std::vector<SlicePath>& paths, const std::vector<std::vector<std::string>>& slices);

}  // namespace locald::cnb
