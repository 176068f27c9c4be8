#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

/// The shim's thin seam to the kernel: EINTR retried, close-on-exec always set,
/// -1 and errno as the calls themselves. No allocation.
namespace locald::shim {

std::uint64_t wall_ns();      ///< CLOCK_REALTIME
std::int64_t monotonic_ms();  ///< CLOCK_MONOTONIC

/// Writes all; false with errno where that fails.
bool write_all(int fd, const void* data, std::size_t size);

/// Replaces `name` in the folder by `data` (0600): temporary file, rename.
bool write_file(int dir, const char* name, const char* data, std::size_t size);

/// Reads the start of a file; bytes read, or -1.
ssize_t read_start(int dir, const char* path, char* buffer, std::size_t size);

int pidfd_open(pid_t pid);
int pidfd_signal(int pidfd, int number);

/// Anonymous memory, touched lazily; null where there is none.
char* map_memory(std::size_t size);
void unmap_memory(char* memory, std::size_t size);

/// "No such file or directory"; never null. (Small on purpose: not strerror's tables and locales.)
const char* error_text(int number);

bool set_nonblocking(int fd);
std::uint64_t parse_number(const char* text);  ///< digits up to the first other byte

/// Field 4 (parent) of /proc/PID/stat below the folder `proc`; -1 if the process is gone.
pid_t parent_of(int proc, pid_t pid);
/// Whether a process catches, blocks or ignores the signal `number`, as its status at `path` below
/// the folder `proc` has it. True for SIGKILL and SIGSTOP, and where that cannot be read.
bool signal_has_effect(int proc, const char* path, int number);
/// Field 22 of the caller's own stat in the folder `proc`; 0 if unreadable.
std::uint64_t own_start_time(int proc);

}  // namespace locald::shim
