#pragma once
#include <cstdint>

#include "shim/text.h"

/// What runs inside of a container: PID 1 that reaps, and the way to another user
/// than 0 where the container's user namespace maps a single id.
///
///     runc's init ──execve──> /dev/init --map 1001:1000 -- CMD
///                                │ nests itself: is 1001:1000 from here on, without a capability
///                                │ forks
///                                ├── CMD, leader of its own session, with the terminal
///                                └── signals ──> CMD; reaps; ends as CMD has ended
///
/// PID 1 nests before it forks, so that nothing in the container keeps a capability: it is what
/// CMD is, as it would be with a full id map, and CMD may look at it and signal it. The way back
/// out of a user namespace does not exist.
///
/// Idle it blocks in one system call: no wake-ups, no descriptors, no heap.
namespace locald::shim {

struct InitRequest {
  bool map = false;
  std::uint32_t uid = 0, gid = 0;  ///< inside, with `map`
  bool seal = false;
  bool exec = false;
  bool report = false;
  char** argv = nullptr;  ///< the command, null at the end
};

/// Reads the words after the mode (protocol.h). False with a sentence in `why`.
bool read_init(char** words, InitRequest* request, Text& why);

/// Makes a user namespace in which the caller, whatever it was, is uid:gid, the only id there is,
/// and gives every capability away: in the new one all sets are empty, the bounding set too, and
/// in the old one there never are any from within. Needs CAP_SETFCAP where the caller's id is 0
/// outside (Linux 5.12). The caller has one thread and shares its memory with nobody.
/// False with a sentence in `why`; then the caller may be anywhere between the two and must end.
bool nest(std::uint32_t uid, std::uint32_t gid, Text& why);

/// unshare(2) is refused from here on, with a filter beside the one that let it through for
/// nest(). Sets no_new_privs, which such a filter needs. False with a sentence in `why`.
bool seal(Text& why);

/// The mode. Ends with the command's own exit code or 128 + signal; 125 our failure, 126 the
/// command cannot be executed, 127 it is not there, each with one sentence (kInitReport).
///
/// Every signal goes to the command alone, not to its group (whose members get the terminal's by
/// themselves): real-time ones too, and those sent with a value keep it. SIGCHLD is ours.
/// What is left when the command has ended dies with PID 1.
int init_mode(char** words);

}  // namespace locald::shim
