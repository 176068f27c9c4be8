#include "shim/records.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shim/kernel.h"
#include "shim/protocol.h"

namespace locald::shim {

bool InstanceRecord::write(const Spec& spec, int proc, pid_t shim_pid, int folder, int kept) {
  const char* prefix = spec.first(kKeyInstance);
  if (prefix == nullptr || folder < 0) return false;
  // The first part is the server's and of any length; the tail is ours.
  const std::size_t n = std::strlen(prefix);
  const std::size_t room = n + 256;
  char* memory = map_memory(room);
  if (memory == nullptr) return false;
  Text text(memory, room);
  text.add(prefix, n).add(",\"shim_pid\":").number(shim_pid).add(",\"shim_start\":");
  text.number(static_cast<std::int64_t>(own_start_time(proc))).add("}\n");
  if (text.size() <= sizeof text_) {
    std::memcpy(text_, text.data(), text.size());
    used_ = text.size();
  }
  // The copy comes first: a living shim is recorded, also if the run folder is deleted and the
  // server is killed before it has heard of us.
  TextOf<64> copy;
  copy.add(spec.id).add(".json");
  if (kept >= 0) (void)write_file(kept, copy.data(), text.data(), text.size());
  struct stat st {};
  // Without a name: our server died, and the next one has cleaned the folder away.
  const bool known = write_file(folder, kInstanceFile, text.data(), text.size()) &&
                     ::fstat(folder, &st) == 0 && st.st_nlink > 0;
  const int error = errno;
  if (kept >= 0 && !known) ::unlinkat(kept, copy.data(), 0);
  if (kept >= 0) ::close(kept);  // or its mount stays busy for our lifetime
  unmap_memory(memory, room);
  errno = error;
  return known;
}

void write_exit(int folder, const char* nonce, const FrameExit& exit, bool never_ran,
                const Text& reason) {
  TextOf<2600> text;
  text.add("{\"format\":1,\"nonce\":\"").json(nonce).add("\",\"code\":");
  if (exit.code >= 0)
    text.number(exit.code);
  else
    text.add("null");
  text.add(",\"signal\":");
  if (exit.signal != 0)
    text.number(exit.signal);
  else
    text.add("null");
  text.add(",\"never_ran\":").add(never_ran ? "true" : "false");
  text.add(",\"ended_ns\":").number(static_cast<std::int64_t>(exit.ended_ns));
  text.add(",\"dropped_bytes\":").number(static_cast<std::int64_t>(exit.dropped_bytes));
  text.add(",\"reason\":\"").json(reason.data(), reason.size()).add("\"}\n");
  (void)write_file(folder, kExitFile, text.data(), text.size());
}

}  // namespace locald::shim
