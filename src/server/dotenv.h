#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/interpolation.h"
#include "server/project_spec.h"

/// Env files, by the rules of compose-spec ("env_file", 05-services). Pure.
///
///     # a comment            export A=1            A: 1 is A=1
///     PLAIN=a b # comment    an inline comment needs a blank before it
///     LITERAL='a $b # c'     nothing is replaced, \' is a quote
///     DOUBLE="a ${B}\n"      ${…} and $VAR replaced, \n \r \t \\ \" \$ known; may span lines
///     EMPTY=                 the empty string
///     INHERITED              the value of the environment of `up`; unset there: unset here
namespace locald::server {

struct DotenvEntry {
  std::string name;
  std::optional<std::string> value;  ///< nullopt: to be unset
};

/// `environment` is asked first, then what stands earlier in the file.
/// Problems carry `file` and the line; the entries that could be read are returned all the same.
std::vector<DotenvEntry> parse_dotenv(
    std::string_view text, const std::string& file,
    const std::function<std::optional<std::string>(const std::string&)>& environment,
    Problems& problems);

}  // namespace locald::server
