#include "server/state/own_folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/sys/set_aside.h"

namespace locald::server {

void set_aside_intruders(const Paths& paths, const std::function<void(const std::string&)>& log) {
  for (const std::string& path :
       {paths.images(), paths.layers(), paths.facts(), paths.containers(),
        paths.data() + "/volumes", paths.cnb(), paths.state() + "/services",
        paths.state() + "/builds", paths.instance_records(), paths.run_projects(),
        paths.run() + "/notify", paths.instances(), paths.bundles(), paths.runc_root()}) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0 || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)) continue;
    const auto aside = set_aside(AT_FDCWD, path);
    log(aside ? path + " was not a folder; it was set aside as " + *aside : aside.error().text());
  }
}

}  // namespace locald::server
