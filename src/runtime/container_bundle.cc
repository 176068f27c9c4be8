#include "runtime/container_bundle.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

constexpr std::size_t kMaxBinds = 128;  // descriptors that a shim is handed

/// What the binds are mounted on: folders for folders, files for files.
Result<void> make_bind_points(int dir, const std::vector<HostBind>& binds) {
  if (binds.empty()) return {};
  if (binds.size() > kMaxBinds)
    return Error(Errc::unsupported, "more than " + std::to_string(kMaxBinds) +
                                        " folders and files of the host in one container")
        .with_hint("mount a folder that holds several of them");
  TRY(sys::mkdirat(dir, shim::kBindFolder, 0700));
  const UniqueFd points = TRY(sys::openat(dir, shim::kBindFolder, O_RDONLY | O_DIRECTORY));
  for (std::size_t i = 0; i < binds.size(); ++i) {
    const std::string name = std::to_string(i);
    if (binds[i].is_folder)
      TRY(sys::mkdirat(points.get(), name, 0700));
    else
      TRY(sys::openat(points.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  }
  return {};
}

Result<void> fill(const std::string& dir, const oci::RuntimeSpec& config,
                  const std::vector<HostBind>& binds) {
  const UniqueFd fd = TRY(sys::open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  TRY(sys::mkdirat(fd.get(), "rootfs", 0700));
  TRY(make_bind_points(fd.get(), binds));
  // It has the service's environment in it: for its owner alone.
  const UniqueFd file =
      TRY(sys::openat(fd.get(), "config.json", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  return sys::write_all(file.get(), config.to_json().dump());
}

}  // namespace

Result<ContainerBundle> ContainerBundle::create(const std::string& dir, Rootfs rootfs,
                                                oci::RuntimeSpec config,
                                                std::vector<HostBind> binds) {
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
  if (auto filled = fill(dir, config, binds); !filled) {
    (void)remove_tree(dir);
    return std::move(filled).error().with_context("bundle " + dir);
  }
  ContainerBundle bundle;
  bundle.dir = dir;
  bundle.rootfs = std::move(rootfs);
  bundle.config = std::move(config);
  bundle.binds = std::move(binds);
  return bundle;
}

std::string ContainerBundle::bind_point(const std::string& dir, std::size_t number) {
  return dir + "/" + shim::kBindFolder + "/" + std::to_string(number);
}

}  // namespace locald::runtime
