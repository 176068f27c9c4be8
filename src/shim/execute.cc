#include "shim/execute.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shim/kernel.h"

namespace locald::shim {

int execute(char* const* argv, char* const* env) {
  const std::size_t name = std::strlen(argv[0]);
  if (std::strchr(argv[0], '/') != nullptr) {
    ::execve(argv[0], argv, env);
    const int error = errno;
    return error == ENOENT && ::access(argv[0], F_OK) == 0 ? kNoInterpreter : error;
  }
  const char* path = "/usr/local/bin:/usr/bin:/bin";
  for (char* const* e = env; *e != nullptr; ++e)
    if (std::strncmp(*e, "PATH=", 5) == 0) path = *e + 5;
  int seen = ENOENT;
  static char file[4096];
  if (name == 0) return ENOENT;
  while (true) {
    const char* colon = std::strchr(path, ':');
    const std::size_t n =
        colon == nullptr ? std::strlen(path) : static_cast<std::size_t>(colon - path);
    if (n + name + 2 <= sizeof file) {
      std::memcpy(file, path, n);
      std::size_t at = n;
      if (at > 0) file[at++] = '/';
      std::memcpy(file + at, argv[0], name + 1);
      ::execve(file, argv, env);
      const int error = errno;
      if (error != EACCES && error != ENOENT && error != ENOTDIR) return error;
      // A folder that may not be entered hides nothing that the command could be.
      const bool there = ::access(file, F_OK) == 0;
      if (there && error != EACCES) return kNoInterpreter;
      if (there) seen = EACCES;
    }
    if (colon == nullptr) return seen;
    path = colon + 1;
  }
}

int explain_exec(int error, const char* name, Text& why) {
  why.add(name);
  if (error == kNoInterpreter)
    return why.add(": the interpreter that its first line names does not exist"), 126;
  if (error == ENOENT || error == ENOTDIR) {
    why.add(std::strchr(name, '/') != nullptr ? ": no such file" : ": command not found in PATH");
    return 127;
  }
  return why.add(": cannot be executed: ").add(error_text(error)), 126;
}

}  // namespace locald::shim
