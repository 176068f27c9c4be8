#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json/fields.h"

/// Requests are structs: `kName` is what follows /v1/, fields() the table from which they are
/// written (the CLI), read strictly (the server) and described (docs/api.md). What each does stands
/// beside its name in requests.cc. Absent is the default of the member.
///
/// `Reply` is the struct of what a request is answered with: written by the server, and read
/// tolerantly by the CLI, whose server may be of another build. What does not apply is null.
///
/// These are the parts that several of them have.
namespace locald::ipc {

/// Where a project is looked for.
struct ProjectPlace {
  std::string dir;
  std::optional<std::string> file, name;
  std::map<std::string, std::string> env;    ///< any bytes
  std::vector<std::string> more_files = {};  ///< merged over `file`
  static const Fields& fields();
};

/// What belongs to the user who asks, beside the fields of a request: host processes get it, `${VAR}`
/// reads of it, registries are asked with its logins.
struct World {
  std::map<std::string, std::string> env;  ///< any bytes
  unsigned umask = 022;
  std::map<std::string, std::vector<std::optional<std::int64_t>>> rlimits;  ///< {soft, hard}
  std::vector<std::string> login_files;
  static const Fields& fields();
};

/// A terminal's size, beside the fields of a request.
struct WindowSize {
  std::uint16_t rows = 24, columns = 80;
  static const Fields& fields();
};

/// The reply to a request that is only done, or not.
struct EmptyReply {
  static const Fields& fields();
};

}  // namespace locald::ipc
