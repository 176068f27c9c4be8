#include "shim/kernel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>  // renameat
#include <cstring>
#include <initializer_list>

#include "shim/text.h"

namespace locald::shim {

std::uint64_t wall_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::int64_t monotonic_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

bool write_all(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool write_file(int dir, const char* name, const char* data, std::size_t size) {
  TextOf<64> temporary;
  temporary.add(".").add(name).add(".new");
  const int fd =
      ::openat(dir, temporary.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return false;
  const bool written = write_all(fd, data, size);
  const int err = errno;
  ::close(fd);
  if (written && ::renameat(dir, temporary.data(), dir, name) == 0) return true;
  const int kept = written ? errno : err;
  ::unlinkat(dir, temporary.data(), 0);
  errno = kept;
  return false;
}

ssize_t read_start(int dir, const char* path, char* buffer, std::size_t size) {
  const int fd = ::openat(dir, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  std::size_t have = 0;
  while (have < size) {
    const ssize_t n = ::read(fd, buffer + have, size - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int err = errno;
      ::close(fd);
      errno = err;
      return -1;
    }
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  ::close(fd);
  return static_cast<ssize_t>(have);
}

int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

int pidfd_signal(int pidfd, int number) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0));
}

char* map_memory(std::size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

void unmap_memory(char* memory, std::size_t size) {
  if (memory != nullptr) ::munmap(memory, size);
}

const char* error_text(int number) {
  static const struct {
    int number;
    const char* text;
  } texts[] = {
      {EPERM, "Operation not permitted"},
      {ENOENT, "No such file or directory"},
      {EIO, "Input/output error"},
      {E2BIG, "Argument list too long"},
      {ENOEXEC, "Exec format error"},
      {EAGAIN, "Resource temporarily unavailable"},
      {ENOMEM, "Cannot allocate memory"},
      {EACCES, "Permission denied"},
      {EBUSY, "Device or resource busy"},
      {EEXIST, "File exists"},
      {ENODEV, "No such device"},
      {ENOTDIR, "Not a directory"},
      {EISDIR, "Is a directory"},
      {EINVAL, "Invalid argument"},
      {ENFILE, "Too many open files in system"},
      {EMFILE, "Too many open files"},
      {ETXTBSY, "Text file busy"},
      {ENOSPC, "No space left on device"},
      {EROFS, "Read-only file system"},
      {ENAMETOOLONG, "File name too long"},
      {ELOOP, "Too many levels of symbolic links"},
      {ESTALE, "Stale file handle"},
      {EDQUOT, "Disk quota exceeded"},
      {ESRCH, "No such process"},
      {ENOSYS, "Function not implemented"},
      {ELIBBAD, "Accessing a corrupted shared library"},
  };
  for (const auto& entry : texts)
    if (entry.number == number) return entry.text;
  static char other[32];
  Text text(other, sizeof other);
  text.add("error ").number(number);
  return other;
}

bool set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

std::uint64_t parse_number(const char* text) {
  std::uint64_t value = 0;
  for (; *text >= '0' && *text <= '9'; ++text)
    value = value * 10 + static_cast<std::uint64_t>(*text - '0');
  return value;
}

namespace {

/// The fields after "(comm)": a comm may hold blanks and brackets, so the last ')' counts.
const char* after_comm(const char* stat, std::size_t n) {
  for (std::size_t i = n; i-- > 0;)
    if (stat[i] == ')') return stat + i + 1;
  return nullptr;
}

/// Lower-case digits up to the first other byte.
std::uint64_t parse_hex(const char* text) {
  std::uint64_t value = 0;
  for (;; ++text) {
    if (*text >= '0' && *text <= '9')
      value = value * 16 + static_cast<std::uint64_t>(*text - '0');
    else if (*text >= 'a' && *text <= 'f')
      value = value * 16 + static_cast<std::uint64_t>(*text - 'a' + 10);
    else
      return value;
  }
}

const char* field(const char* at, int skip) {
  while (skip-- > 0 && at != nullptr) at = std::strchr(at + 1, ' ');
  return at == nullptr ? "" : at + 1;
}

}  // namespace

pid_t parent_of(int proc, pid_t pid) {
  TextOf<32> path;
  path.number(pid).add("/stat");
  char stat[512];
  const ssize_t n = read_start(proc, path.data(), stat, sizeof stat - 1);
  if (n <= 0) return -1;
  stat[n] = '\0';
  const char* rest = after_comm(stat, static_cast<std::size_t>(n));  // " S 42 …"
  return rest == nullptr ? -1 : static_cast<pid_t>(parse_number(field(rest, 1)));
}

bool signal_has_effect(int proc, const char* path, int number) {
  if (number == SIGKILL || number == SIGSTOP) return true;
  char status[4096];
  const ssize_t n = read_start(proc, path, status, sizeof status - 1);
  if (n <= 0) return true;
  status[n] = '\0';
  for (const char* name : {"\nSigBlk:\t", "\nSigIgn:\t", "\nSigCgt:\t"}) {
    const char* line = std::strstr(status, name);
    if (line == nullptr) return true;
    if ((parse_hex(line + std::strlen(name)) >> (number - 1) & 1) != 0) return true;
  }
  return false;
}

std::uint64_t own_start_time(int proc) {
  char stat[512];
  const ssize_t n = read_start(proc, "self/stat", stat, sizeof stat - 1);
  if (n <= 0) return 0;
  stat[n] = '\0';
  const char* rest = after_comm(stat, static_cast<std::size_t>(n));
  return rest == nullptr ? 0
                         : parse_number(field(rest, 19));  // field 3 is the first after the comm
}

}  // namespace locald::shim
