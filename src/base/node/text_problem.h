#pragma once
#include <string>
#include <vector>

namespace locald {

/// A place in a text file.
struct SourcePos {
  unsigned line = 0, column = 0;  ///< 1-based; 0: unknown
  unsigned file = 0;              ///< where there are several: which one, by its owner's count
  friend bool operator==(const SourcePos&, const SourcePos&) = default;
};

/// What a message about a place begins with: "FILE:LINE:COLUMN: ", without what is not known.
std::string place(const std::string& file, SourcePos at);

/// Something wrong in a file of the user's: readers collect all of them and
/// report at once, in the order of the file, instead of stopping at the first.
struct TextProblem {
  std::string file;
  SourcePos at;
  std::string message;
  std::string hint;  ///< what to do; may be empty
};
using TextProblems = std::vector<TextProblem>;

/// "locald.toml:3:1: message (hint)", one a line.
std::string describe(const TextProblems& problems);

/// Puts the problems of each file into its order; files, and those of one place, stay as they were
/// found.
void sort_by_place(TextProblems& problems);

}  // namespace locald
