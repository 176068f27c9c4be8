#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace locald::cli {

struct Context;
class Args;

/// One option of a verb. Without `value` it is a flag.
struct Option {
  char letter;        ///< 0: no short form
  const char* name;   ///< "timeout"
  const char* value;  ///< "DURATION", or nullptr
  const char* help;
};

/// A command as people type it; the tables in the verbs' files are the one place that describes it.
struct Verb {
  const char* name;     ///< "up", "container run"
  const char* usage;    ///< what follows the name: "[OPTION…] [SERVICE…]"
  const char* summary;  ///< one line
  const char* details;  ///< paragraphs and examples for --help; may be ""
  std::vector<Option> options;
  std::size_t min_arguments = 0;
  std::size_t max_arguments = static_cast<std::size_t>(-1);
  bool verbatim = false;  ///< options end at the first argument; what follows goes on as it is
  int own_failure =
      1;  ///< exit code for locald's own errors (125 where the process's code is ours)
  Result<int> (*run)(Context& context, const Args& args) = nullptr;
};

/// What was given to one verb.
class Args {
 public:
  /// Parses argv behind the verb's name (getopt_long(3) does the work: clusters,
  /// `--name=value`, unambiguous abbreviations). A leading "--" of the verbatim part is left out.
  /// @return Errc::invalid_input: a usage error, with a hint where a typo is near.
  ///         `--help` anywhere among the options ends the parsing: wants_help().
  static Result<Args> parse(const Verb& verb, const std::vector<std::string>& words);

  bool wants_help() const noexcept { return help_; }
  bool has(const std::string& name) const { return values_.contains(name); }
  /// The last value given, or nothing.
  std::optional<std::string> value(const std::string& name) const;
  std::vector<std::string> values(const std::string& name) const;
  const std::vector<std::string>& arguments() const noexcept { return arguments_; }
  const std::string& argument(std::size_t index) const { return arguments_.at(index); }
  /// The arguments from `index` on.
  std::vector<std::string> rest(std::size_t index) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> arguments_;
  bool help_ = false;
};

/// The text of `locald VERB --help`.
std::string help_text(const Verb& verb);

/// "1m30s", "200ms", "2s", "90" (seconds). Errc::invalid_input names `option`.
Result<std::int64_t> parse_duration_ms(std::string_view option, std::string_view text);

/// A point in time: a duration before `now_ns`, a clock time of today such as 16:33 (of --since: of
/// yesterday, where it is still to come), RFC 3339, or seconds since 1970.
/// Errc::invalid_input names `option`.
Result<std::uint64_t> parse_since_ns(std::string_view text, std::uint64_t now_ns,
                                     const std::string& option = "--since");

}  // namespace locald::cli
