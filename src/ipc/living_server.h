#pragma once
#include <string>

#include "base/paths.h"

/// A server that lives although its socket and its lock files are gone: the run and the state
/// folder may be deleted together, and it needs a moment to write them back. It is known by a
/// flock(2) that it holds on a folder that stays.
///
/// That lock comes on top of those in server/state/server_lock.h: servers of older versions do not hold
/// it, some file systems have none for folders, and every process that may read the folder can take
/// it. So it counts only where one of this user's servers is seen to hold it.
namespace locald::ipc {

/// The folder above the state folder: LOCALD_HOME, $XDG_STATE_HOME, /var/lib/locald.
std::string lasting_folder(const Paths& paths);

/// The process of this user's server that holds the flock on the lasting folder; 0 where none is
/// seen. Not this process.
int living_server(const Paths& paths);

/// The process of this user that holds a flock(2) on what `path` leads to; 0: none is seen. The
/// kernel's list names the inode, whose number other file systems have too: the holder is asked
/// what it has open, which another user's process would not say.
int lock_holder(const std::string& path);

/// What a server writes into STATE/server.lock: its process and its run folder.
struct LockSignature {
  int pid = 0;  ///< 0: nobody has signed, or it cannot be read
  std::string run;
};
LockSignature lock_signature(const Paths& paths);

/// What to do about the server `pid` (0: unknown), which does not answer: for a hint.
std::string way_out(const Paths& paths, int pid);

}  // namespace locald::ipc
