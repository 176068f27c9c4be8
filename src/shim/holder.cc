#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "shim/kernel.h"
#include "shim/modes.h"
#include "shim/protocol.h"

namespace locald::shim {
namespace {

int failed(std::int32_t error, const char* step) {
  char message[64] = {'E'};
  std::memcpy(message + 1, &error, sizeof error);
  const std::size_t n =
      std::strlen(step) < sizeof message - 5 ? std::strlen(step) : sizeof message - 5;
  std::memcpy(message + 5, step, n);
  write_all(kHolderSocket, message, 5 + n);
  return 1;
}

/// Some systems let the namespace be made and then take its capabilities away (AppArmor on Ubuntu):
/// try one.
int mount_in_child() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::unshare(CLONE_NEWNS) != 0) ::_exit(errno);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) ::_exit(errno);
    ::_exit(0);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) < 0) return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

}  // namespace

int holder_mode() {
  if (::unshare(CLONE_NEWUSER) != 0) return failed(errno, "unshare");
  if (const int error = mount_in_child()) return failed(error, "mount");
  write_all(kHolderSocket, "U", 1);
  char end;
  while (::read(kHolderSocket, &end, 1) < 0 && errno == EINTR) {
  }
  return 0;
}

}  // namespace locald::shim
