#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "project/project_spec.h"
#include "project/resolve/dotenv.h"

/// What `${VAR}` in a project file and in its env files reads.
namespace locald::project {

/// A variable that the file used when the project was brought up.
struct CapturedValue {
  std::optional<std::string> value;  ///< nullopt: it was not set anywhere
  bool from_env = false;             ///< of the environment of an `up`, not of `.env`
  friend bool operator==(const CapturedValue&, const CapturedValue&) = default;
};
/// What an `up` has captured: the variables that the file uses, and no others. They are secrets: in
/// memory, and in the run folder's record (0600).
using Capture = std::map<std::string, CapturedValue>;
/// Which services use each of them.
using Uses = std::map<std::string, std::set<std::string>>;

/// Looks variables up and keeps account of it. The order: the environment of this `up`, then
/// `.env` beside the project file, then what an earlier `up` captured. A variable that was
/// captured and has another value in this environment is a problem, so that no service
/// changes because `up` was called from another terminal; `refresh` takes the new value.
/// `.env` is read when it is first needed. Loop thread or a test's.
class Variables {
 public:
  struct Input {
    const std::map<std::string, std::string>& env;  ///< of this `up`
    std::string dotenv;                             ///< the path of `.env`; it need not exist
    /// What was captured; empty: nothing was. `service` is the one that uses it.
    std::function<std::optional<CapturedValue>(const std::string& service, const std::string& name)>
        captured;
    bool refresh = false;
    std::function<Result<std::string>(const std::string& path)> read;  ///< a regular file's text
  };
  explicit Variables(Input input) : in_(std::move(input)) {}

  /// Who asks from now on, and where that stands: for problems.
  void at(const std::string& service, const std::string& file, SourcePos pos);
  /// The value of `name`, which from now on counts as used.
  std::optional<std::string> value(const std::string& name);

  /// `.env` cannot be read: a variable without a value may have one there.
  bool may_be_in_dotenv();

  /// Appends what is wrong: in `.env`, and values that differ from the captured ones.
  void problems(Problems& out, const std::string& project) const;
  /// {service, text}: values that were kept, `$NAME`s in `.env` that have none.
  std::vector<std::pair<std::string, std::string>> notices() const;
  /// What this `up` captures.
  Capture capture() const;
  Uses uses() const;

 private:
  struct Used {
    CapturedValue now;
    bool kept = false, other = false;
    std::set<std::string> services;
    std::string file;
    SourcePos at;
  };
  const DotenvEntry* in_dotenv(const std::string& name);
  void load_dotenv();
  /// @param more  Takes the names that the value was made of.
  Used look_up(const std::string& name, std::vector<std::string>& more);

  Input in_;
  std::string service_, file_;
  SourcePos at_;
  bool loaded_ = false, unreadable_ = false;
  std::map<std::string, DotenvEntry> dotenv_;
  Problems dotenv_problems_;
  std::map<std::string, Used> used_;
};

/// What a `$NAME` without a value in an env file is told as; `entry` is one that has such.
/// @param told  Names of which it was said already; those told now are added.
std::vector<std::string> vanished_notices(const DotenvEntry& entry, const std::string& file,
                                          std::set<std::string>& told);

}  // namespace locald::project
