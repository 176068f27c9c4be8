#include "runtime/container_bundle.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/fs_at.h"
#include "base/sys.h"

namespace locald::runtime {
namespace {

Result<void> fill(const std::string& dir, const oci::RuntimeSpec& config) {
  const UniqueFd fd = TRY(sys::open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  TRY(sys::mkdirat(fd.get(), "rootfs", 0700));
  // It has the service's environment in it: for its owner alone.
  const UniqueFd file =
      TRY(sys::openat(fd.get(), "config.json", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  return sys::write_all(file.get(), config.to_json().dump());
}

}  // namespace

Result<ContainerBundle> ContainerBundle::create(const std::string& dir, Rootfs rootfs,
                                                oci::RuntimeSpec config) {
  if (dir.empty() || dir.front() != '/')
    return Error(Errc::invalid_input, "bundle " + dir + ": not an absolute path");
  if (const std::size_t slash = dir.rfind('/'); slash != 0)
    TRY(make_dirs(dir.substr(0, slash)).context("bundle " + dir));
  // mkdir itself is the test: two that make the same bundle cannot both win.
  if (::mkdir(dir.c_str(), 0700) != 0) {
    const int err = errno;
    if (err == EEXIST) return Error(Errc::already_exists, "bundle " + dir + ": is there already");
    return Error::from_errno(err, "create bundle " + dir);
  }
  if (auto filled = fill(dir, config); !filled) {
    (void)remove_tree(dir);
    return std::move(filled).error().with_context("bundle " + dir);
  }
  ContainerBundle bundle;
  bundle.dir = dir;
  bundle.rootfs = std::move(rootfs);
  bundle.config = std::move(config);
  return bundle;
}

}  // namespace locald::runtime
