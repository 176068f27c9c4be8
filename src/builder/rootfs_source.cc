#include "builder/rootfs_source.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "builder/assembly.h"

namespace locald::builder {

RootfsSource::RootfsSource(Environment& environment, std::string folder, ContainerOptions options,
                           std::string container_key)
    : environment_(environment),
      folder_(std::move(folder)),
      options_(std::move(options)),
      container_key_(std::move(container_key)) {}

Result<runtime::ContainerBundle> RootfsSource::prepare(const std::string& destination,
                                                       const PrepareContext& context) {
  const std::string where = "rootfs " + folder_;
  struct stat st {};
  if (::stat(folder_.c_str(), &st) != 0) {
    const int err = errno;
    return Error::from_errno(err, where)
        .with_hint("rootfs must name a folder that holds a root file system");
  }
  if (!S_ISDIR(st.st_mode)) return Error(Errc::invalid_input, where + ": not a folder");
  return assemble({.environment = environment_,
                   .options = options_,
                   .container_key = container_key_,
                   .stamp = fingerprint(),
                   .lowers = {folder_},
                   .lower_base = "/",
                   .image = {},
                   .facts_file = {}},
                  destination, context)
      .context(where);
}

}  // namespace locald::builder
