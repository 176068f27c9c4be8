#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// `${…}` in the strings of a project file and of env files. Pure.
///
///     ${VAR}   ${VAR:-default}  ${VAR-default}  ${VAR:?error}  ${VAR?error}
///              ${VAR:+other}    ${VAR+other}
///     ${services.NAME.host|port|url}       $$ is one $
///
/// As in compose-spec: with the colon, an empty value counts as unset; defaults
/// may hold further `${…}`, which count only where the default is taken. A `$` before
/// anything else stands for itself, so that a shell's `$HOME` needs no care; env files
/// also know `$VAR` (`bare`).
namespace locald::project {

/// The most bytes of one word or variable, with the name, the `=` and the NUL that belong
/// to it: more than this no process can be given in one (MAX_ARG_STRLEN of execve(2)).
inline constexpr std::size_t kMaxWord = 128u << 10;
/// What a value may grow to while it is put together.
inline constexpr std::size_t kMaxValue = kMaxWord - 1;
/// What all values of a service may come to, in bytes: a process has no place for more.
inline constexpr std::size_t kMaxServiceText = 2u << 20;

struct Lookup {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  /// `field` is host, port or url. Empty: `${services.…}` is refused (env files).
  std::function<Result<std::string>(const std::string& service, const std::string& field)> service;
  bool bare = false;  ///< `$VAR` too
  std::vector<std::string>* unset =
      nullptr;  ///< names that had neither value nor default: they became ""
};

/// Fine, or why no process can be given `value`: as a word, or as the variable `name` where that is
/// not empty.
Result<void> check_word(std::string_view name, std::string_view value);

/// @return Errc::invalid_input for a bad form, for `${VAR:?error}`, for a value of more than
/// kMaxValue bytes (which is never made), and what `service` returned.
Result<std::string> interpolate(std::string_view text, const Lookup& lookup);

/// What `text` refers to, without looking anything up: for the check of a file.
struct Reference {
  std::string service, field;
};
Result<std::vector<Reference>> service_references(std::string_view text);

}  // namespace locald::project
