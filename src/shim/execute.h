#pragma once
#include "shim/text.h"

namespace locald::shim {

/// No errno: the file is there, the interpreter that it names is not.
inline constexpr int kNoInterpreter = 1000 + 2;

/// As execvp(3), in the PATH of `env`, but without a shell for files that the kernel does not know.
/// Comes back only where that failed: errno or kNoInterpreter. Allocates nothing.
int execute(char* const* argv, char* const* env);

/// Adds why `name` was not executed to `why`; the interpreter that is missing is the one that the
/// last execute() came upon.
/// @return 127 where it is not there, else 126; a missing interpreter is 126, as shells tell it.
int explain_exec(int error, const char* name, Text& why);

/// Adds what runc says to `why`: in the words of explain_exec() where that is why a command was not
/// executed, else as it is.
/// @param root  The container's root, in which the command's file can be read; may be null.
void explain_runc(const char* text, Text& why, const char* root);

}  // namespace locald::shim
