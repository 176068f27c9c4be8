#include "shim/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/sys/file_id.h"
#include "shim/kernel.h"
#include "shim/protocol.h"

namespace locald::shim {
namespace {

// The new mount interface; numbers and names as in linux/mount.h, which clashes with sys/mount.h.
constexpr unsigned kFsconfigSetFlag = 0, kFsconfigSetString = 1, kFsconfigCreate = 6;
constexpr unsigned kFsopenCloexec = 1, kFsmountCloexec = 1, kMoveEmptyPath = 4;

/// A path as an option's value: overlayfs splits at commas and, for lowerdir, at colons.
void add_path(Text& options, const char* path, bool colons) {
  for (const char* c = path; *c != '\0'; ++c) {
    if (*c == '\\' || *c == ',' || (colons && *c == ':')) options.add("\\", 1);
    options.add(c, 1);
  }
}

/// Layer by layer, where the options of all of them are longer than a page (Linux 6.8).
bool mount_long(const Spec& spec, const char* target) {
  const long fs = ::syscall(SYS_fsopen, "overlay", kFsopenCloexec);
  if (fs < 0) return false;
  auto set = [&](const char* key, const char* value) {
    return ::syscall(SYS_fsconfig, fs, kFsconfigSetString, key, value, 0) == 0;
  };
  bool ok = true;
  for (const char* v = spec.first(kKeyLower); v != nullptr && ok; v = spec.next(kKeyLower, v))
    ok = set("lowerdir+", v);
  ok = ok && set("upperdir", spec.first(kKeyUpper)) && set("workdir", spec.first(kKeyWork));
  if (spec.userns)
    ok = ok && ::syscall(SYS_fsconfig, fs, kFsconfigSetFlag, "userxattr", nullptr, 0) == 0;
  ok = ok && ::syscall(SYS_fsconfig, fs, kFsconfigCreate, nullptr, nullptr, 0) == 0;
  const long mount_fd = ok ? ::syscall(SYS_fsmount, fs, kFsmountCloexec, 0) : -1;
  ok = mount_fd >= 0 &&
       ::syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, target, kMoveEmptyPath) == 0;
  const int err = errno;
  if (mount_fd >= 0) ::close(static_cast<int>(mount_fd));
  ::close(static_cast<int>(fs));
  errno = err;
  return ok;
}

}  // namespace

bool make_mounts(Text& why) {
  if (::unshare(CLONE_NEWNS) != 0)
    return why.add("a mount namespace cannot be made: ").add(error_text(errno)), false;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return why.add("the mounts cannot be made private: ").add(error_text(errno)), false;
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    why.add("mount /proc: ").add(error_text(errno));
    if (errno == EPERM) why.add(" (is this machine itself a container whose /proc is masked?)");
    return false;
  }
  return true;
}

bool mount_rootfs(const Spec& spec, Text& why) {
  if (spec.first(kKeyLower) == nullptr) return true;
  const char* upper = spec.first(kKeyUpper);
  const char* work = spec.first(kKeyWork);
  if (upper == nullptr || work == nullptr)
    return why.add("the overlay has no writable folder"), false;
  const char* base = spec.first(kKeyLowerBase);
  if (base != nullptr && *base != '\0' && ::chdir(base) != 0)
    return why.add("enter ").add(base).add(": ").add(error_text(errno)), false;
  TextOf<4096> target;
  target.add(spec.first(kKeyBundle)).add("/rootfs");
  static char memory[4096];  // the kernel takes one page
  Text options(memory, sizeof memory);
  options.add("lowerdir=");
  for (const char* v = spec.first(kKeyLower); v != nullptr; v = spec.next(kKeyLower, v)) {
    if (v != spec.first(kKeyLower)) options.add(":", 1);
    add_path(options, v, true);
  }
  add_path(options.add(",upperdir="), upper, false);
  add_path(options.add(",workdir="), work, false);
  if (spec.userns) options.add(",userxattr");
  const bool mounted = options.cut()
                           ? mount_long(spec, target.data())
                           : ::mount("overlay", target.data(), "overlay", 0, options.data()) == 0;
  if (mounted) return true;
  why.add("mount the root file system (overlay) on ")
      .add(target.data())
      .add(": ")
      .add(error_text(errno));
  if (errno == EINVAL || errno == EPERM) why.add(" (the kernel's log, `dmesg`, has the reason)");
  return false;
}

bool mount_binds(const Spec& spec, Text& why) {
  int number = 0;
  for (const char* v = spec.first(kKeyBind); v != nullptr; v = spec.next(kKeyBind, v), ++number) {
    const int judged = kShimExtra + number;
    // A descriptor from outside belongs to a mount of another namespace, which cannot be bound
    // here: the same file is opened here, by no symlink, and must be the very one.
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_NO_SYMLINKS;
    const int here = static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, v, &how, sizeof how));
    const auto found = here < 0 ? std::nullopt : FileId::of(here);
    if (!found || found != FileId::of(judged)) {
      const bool other = here >= 0 || errno == ELOOP || errno == ENOENT || errno == ENOTDIR;
      why.add("mount ").add(v).add(": ");
      if (other)
        why.add("it was exchanged for something else while the container started");
      else
        why.add(error_text(errno));
      return false;
    }
    TextOf<48> source;
    source.add("/proc/self/fd/").number(here);
    TextOf<4200> target;
    target.add(spec.first(kKeyBundle)).add("/").add(kBindFolder).add("/").number(number);
    // A slave, as all mounts here: what the host mounts or unmounts below it later is followed.
    if (::mount(source.data(), target.data(), nullptr, MS_BIND | MS_REC, nullptr) != 0 ||
        ::mount(nullptr, target.data(), nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
      return why.add("mount ").add(v).add(": ").add(error_text(errno)), false;
    ::close(here);
    ::close(judged);
  }
  return true;
}

}  // namespace locald::shim
