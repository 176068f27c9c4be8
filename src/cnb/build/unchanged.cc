#include "cnb/build/unchanged.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::cnb {
namespace {

constexpr const char* kMarkFile = "build/mark";
/// What slewing (NTP) moves in the longest build stays below it; a step does not.
constexpr std::int64_t kClockSlack = 500'000'000;

std::int64_t clock_offset() {
  timespec real{}, boot{};
  ::clock_gettime(CLOCK_REALTIME, &real);
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  return sys::nanoseconds(real) - sys::nanoseconds(boot);
}

/// Touches the file until its ctime is later than `stamp_ns`: all that changes from then on is
/// dated later too. False where it stays so for long: the file system counts whole seconds.
Result<bool> tick_on(int file, std::int64_t stamp_ns) {
  constexpr timespec kStep{0, 500'000};
  for (int steps = 0; steps < 100; ++steps) {  // the kernel's clock ticks every 10 ms at the most
    struct stat st {};
    if (::futimens(file, nullptr) != 0 || ::fstat(file, &st) != 0)
      return Error::from_errno(errno, kMarkFile);
    if (sys::nanoseconds(st.st_ctim) > stamp_ns) return true;
    ::nanosleep(&kStep, nullptr);
  }
  return false;
}

/// Errc::already_exists stands for "changed": it ends the walk.
Result<void> look(int dir, const std::string& name, std::int64_t stamp_ns) {
  struct stat st {};
  if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return Error::from_errno(errno, name);
  if (sys::nanoseconds(st.st_ctim) > stamp_ns) return Error(Errc::already_exists, name);
  if (!S_ISDIR(st.st_mode)) return {};
  const UniqueFd inner = TRY(sys::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return list_dir(inner.get(), [&](const std::string& below, unsigned char) {
    return look(inner.get(), below, stamp_ns);
  });
}

}  // namespace

Result<ChangeMark> mark_now(const AppFolder& app) {
  TRY(app.own_file(kMarkFile, ""));
  // The folder stays root's: without an id of the build user's the server could not rename it away.
  const UniqueFd dir = TRY(app.root_dir(parent_of(kMarkFile)));
  const UniqueFd file = TRY(sys::openat(dir.get(), name_of(kMarkFile), O_WRONLY | O_NOFOLLOW));
  struct stat st {};
  if (::fstat(file.get(), &st) != 0) return Error::from_errno(errno, kMarkFile);
  const std::int64_t stamp = sys::nanoseconds(st.st_ctim);
  const bool tells = TRY(tick_on(file.get(), stamp));
  return ChangeMark{tells ? stamp : 0, clock_offset()};
}

Result<bool> unchanged_since(const ChangeMark& mark, const AppFolder& app,
                             const std::string& path) {
  if (std::llabs(clock_offset() - mark.clock_ns) > kClockSlack) return false;
  const UniqueFd dir = TRY(app.dir(parent_of(path)));
  // What cannot be looked at (a million folders deep) counts as changed.
  return static_cast<bool>(look(dir.get(), name_of(path), mark.stamp_ns));
}

}  // namespace locald::cnb
