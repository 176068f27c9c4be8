#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shim/client.h"
#include "shim/kernel.h"
#include "shim/modes.h"
#include "shim/process.h"
#include "shim/protocol.h"
#include "shim/session.h"

namespace locald::shim {
namespace {

// In .bss: no allocation, untouched pages cost nothing.
Spec run_spec;
Session session;

/// Before there is a session that could: the same frame by hand.
int refuse(const char* text) {
  Client server;
  server.open(kShimControl);
  const FrameExit exit{125, 0, wall_ns(), 0};
  server.send(Frame::failed, &exit, sizeof exit, text, std::strlen(text));
  return 125;
}

/// Above the numbers of protocol.h, which mean something even where nothing was handed over.
int above_handed(int low) {
  const int fd = ::fcntl(low, F_DUPFD_CLOEXEC, kShimJoin + 1);
  ::close(low);
  return fd;
}

}  // namespace

bool read_spec(Spec& spec, int* proc, const char** why) {
  // 4: CLOSE_RANGE_CLOEXEC. What the server handed over ends here, nothing runs with it.
  if (::syscall(SYS_close_range, 3u, ~0u, 4u) != 0)
    for (int fd = 3; fd < 1024; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  *proc = above_handed(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!spec.read(kShimSpec, why)) return false;
  ::close(kShimSpec);
  return true;
}

int run_mode() {
  const char* why = "";
  TextOf<300> text;
  Session::Handed handed;
  if (!read_spec(run_spec, &handed.proc, &why)) return refuse(why);
  Process& process = process_of(run_spec.kind);
  // Before the mount namespace may be another.
  if (const char* path = run_spec.first(kKeyKept); path != nullptr)
    handed.kept = above_handed(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!process.join(run_spec, text)) return refuse(text.data());
  handed.folder = kShimFolder;
  handed.control = kShimControl;
  handed.log_folder = kShimLog;
  const pid_t pid = ::fork();
  if (pid < 0) {
    text.add("no process could be made: ").add(error_text(errno));
    return refuse(text.data());
  }
  if (pid > 0) ::_exit(0);  // the shim proper belongs to the server (a subreaper) or to init
  ::close(kShimJoin);
  session.run(run_spec, process, handed);
}

}  // namespace locald::shim
