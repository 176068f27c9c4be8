#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "project/project_spec.h"
#include "project/resolve/interpolation.h"

/// Env files, by the rules of compose-spec ("env_file", 05-services). Pure.
///
///     # a comment            export A=1            A: 1 is A=1
///     PLAIN=a b # comment    an inline comment needs a blank before it
///     LITERAL='a $b # c'     nothing is replaced, \' is a quote
///     DOUBLE="a ${B}\n"      ${…} and $VAR replaced, \n \r \t \\ \" \$ known; may span lines
///     EMPTY=                 the empty string
///     INHERITED              the value of the environment of `up`; unset there: unset here
///
/// CR LF ends a line as LF does, also within quotes.
namespace locald::project {

struct DotenvEntry {
  std::string name;
  std::optional<std::string> value;  ///< nullopt: to be unset
  unsigned line = 0;                 ///< where it begins
  /// Names of `$NAME` and `${NAME}` in the value that have none: nothing stands in their place.
  std::vector<std::string> vanished = {};
  std::vector<std::string> read = {};  ///< all names that the value refers to
};

/// How a file is read where that differs.
struct DotenvDialect {
  /// Of `$NAME` and `${…}`; empty: interpolate() of resolve/interpolation.h.
  std::function<Result<std::string>(std::string_view text, const Lookup& lookup)> expand = {};
  /// As compose does: a name may begin with a digit and have brackets and letters of any language;
  /// a value may begin with #, and only a space before it makes a comment of a later one; \a \b
  /// \f \v and \0NNN are known, too.
  bool compose = false;
};

using FindVariable = std::function<std::optional<std::string>(const std::string&)>;

/// `environment` is asked first, then what stands earlier in the file, then `otherwise`.
/// Problems carry `file` and the line; the entries that could be read are returned all the same.
/// After kMaxProblems of them the reading ends.
/// @param room  Bytes that entries may come to, reduced by what these take; null: kMaxServiceText
///              for this file. Where it is over, that is a problem and the reading ends.
std::vector<DotenvEntry> parse_dotenv(std::string_view text, const std::string& file,
                                      const FindVariable& environment, Problems& problems,
                                      std::size_t* room = nullptr,
                                      const FindVariable& otherwise = {},
                                      const DotenvDialect& dialect = {});

}  // namespace locald::project
