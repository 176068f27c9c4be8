#include "shim/execute.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shim/kernel.h"

namespace locald::shim {
namespace {

/// Of the file that execute() was last left with, or that runc was: "" where its first line names
/// none, or cannot be read. The child of a vfork(2) writes it for its parent.
char interpreter[256];

/// As the kernel reads that line.
void learn_interpreter(int file) {
  interpreter[0] = '\0';
  struct stat st {};
  char line[sizeof interpreter];
  ssize_t n = 0;
  if (file >= 0 && ::fstat(file, &st) == 0 && S_ISREG(st.st_mode))
    n = ::pread(file, line, sizeof line - 1, 0);
  if (file >= 0) ::close(file);
  if (n < 3 || line[0] != '#' || line[1] != '!') return;
  line[n] = '\0';
  const char* begin = line + 2 + std::strspn(line + 2, " \t");
  const std::size_t length = std::strcspn(begin, " \t\n");
  std::memcpy(interpreter, begin, length);
  interpreter[length] = '\0';
}

/// The container's file: no link of its leads out of `root`.
int open_below(const char* root, const char* path) {
  const int top = root == nullptr ? -1 : ::open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top < 0) return -1;
  open_how how{};
  how.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const int file = static_cast<int>(::syscall(SYS_openat2, top, path, &how, sizeof how));
  ::close(top);
  return file;
}

void explain_interpreter(Text& why) {
  why.add(": the interpreter that its first line (#!) names, ");
  if (interpreter[0] == '\0') {
    why.add("or its loader, does not exist");
    return;
  }
  std::size_t length = std::strlen(interpreter);
  const bool crlf = interpreter[length - 1] == '\r';
  if (crlf) --length;
  for (std::size_t i = 0; i < length; ++i) {
    const auto c = static_cast<unsigned char>(interpreter[i]);
    why.add(c < ' ' || c == 127 ? "?" : interpreter + i, 1);
  }
  if (crlf) why.add("\\r");
  why.add(", does not exist");
  if (crlf) why.add(": the line ends with CRLF");
}

}  // namespace

int execute(char* const* argv, char* const* env) {
  const std::size_t name = std::strlen(argv[0]);
  if (std::strchr(argv[0], '/') != nullptr) {
    ::execve(argv[0], argv, env);
    const int error = errno;
    if (error != ENOENT || ::access(argv[0], F_OK) != 0) return error;
    learn_interpreter(::open(argv[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    return kNoInterpreter;
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
      if (there && error != EACCES) {
        learn_interpreter(::open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        return kNoInterpreter;
      }
      if (there) seen = EACCES;
    }
    if (colon == nullptr) return seen;
    path = colon + 1;
  }
}

int explain_exec(int error, const char* name, Text& why) {
  why.add(name);
  if (error == kNoInterpreter) return explain_interpreter(why), 126;
  if (error == ENOEXEC)
    return why.add(
               ": Exec format error: it is neither a program for this machine nor a script "
               "whose first line begins with #!"),
           126;
  if (error == ENOENT || error == ENOTDIR) {
    why.add(std::strchr(name, '/') != nullptr ? ": no such file" : ": command not found in PATH");
    return 127;
  }
  return why.add(": cannot be executed: ").add(error_text(error)), 126;
}

void explain_runc(const char* text, Text& why, const char* root) {
  if (std::strcmp(text, "container does not exist") == 0) {
    why.add("runc's record of the container was deleted: restart the service");
    return;
  }
  // Its process in the container has hung up on it: what ends a container kills that too.
  const char* const hung_up[] = {"init-p: connection reset by peer", "init-p: broken pipe",
                                 "executing setns process"};
  for (const char* words : hung_up)
    if (std::strstr(text, words) != nullptr) {
      why.add(
          "runc was killed before the command began: the container has ended or is being stopped, "
          "or memory is short");
      return;
    }
  const struct {
    const char* begin;
    const char* end;
    bool looked_up;  // by runc, before it executed anything
  } forms[] = {{"exec: \"", "\": ", true}, {"exec /", ": ", false}};
  for (const auto& form : forms) {
    const char* at = std::strstr(text, form.begin);
    if (at == nullptr) continue;
    at += std::strlen(form.begin) - (form.looked_up ? 0 : 1);
    const char* end = std::strstr(at, form.end);
    TextOf<1024> name;
    if (end == nullptr) continue;
    name.add(at, static_cast<std::size_t>(end - at));
    const auto says = [&](const char* words) { return std::strstr(end, words) != nullptr; };
    int error = 0;
    if (says("executable file not found") || says("no such file or directory"))
      error = form.looked_up ? ENOENT : kNoInterpreter;
    else if (says("permission denied") || says("is a directory"))
      error = EACCES;
    else if (says("exec format error"))
      error = ENOEXEC;
    if (error == 0 || name.cut()) continue;
    if (error == kNoInterpreter) learn_interpreter(open_below(root, name.data()));
    explain_exec(error, name.data(), why);
    return;
  }
  constexpr const char* kFolder = "chdir to cwd (\"";
  const char* folder = std::strstr(text, kFolder);
  const char* end = folder == nullptr ? nullptr : std::strstr(folder, "\")");
  const char* because = end == nullptr ? nullptr : std::strrchr(end, ':');
  if (because != nullptr) {
    folder += std::strlen(kFolder);
    why.add("cannot enter the working folder ")
        .add(folder, static_cast<std::size_t>(end - folder))
        .add(because);
    return;
  }
  why.add(text);
}

}  // namespace locald::shim
