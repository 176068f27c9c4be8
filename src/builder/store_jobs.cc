#include "builder/store_jobs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <set>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "oci/registry/login_check.h"

namespace locald::builder {
namespace {

/// Blocks of everything below `folder`, each inode once; what cannot be read takes nothing.
std::uint64_t bytes_below(const std::string& folder) {
  std::set<std::pair<dev_t, ino_t>> seen;
  std::uint64_t sum = 0;
  std::vector<std::string> todo{folder};
  while (!todo.empty()) {
    const std::string path = std::move(todo.back());
    todo.pop_back();
    const auto dir = sys::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!dir) continue;
    (void)list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
      struct stat st {};
      if (::fstatat(dir->get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return {};
      if (st.st_nlink > 1 && !S_ISDIR(st.st_mode) && !seen.insert({st.st_dev, st.st_ino}).second)
        return {};
      sum += static_cast<std::uint64_t>(st.st_blocks) * 512;
      if (S_ISDIR(st.st_mode)) todo.push_back(path + "/" + name);
      return {};
    });
  }
  return sum;
}

}  // namespace

const Fields& LoginJob::fields() {
  static const Fields table = runtime::job_fields<LoginJob>()
                                  .required("registry", &LoginJob::registry, "")
                                  .required("login", &LoginJob::login, "");
  return table;
}

Result<Json> login_job(const Json& json) {
  const LoginJob job = TRY(decode<LoginJob>(json));
  const bool asked = TRY(oci::check_login(job.registry, {job.login.user, job.login.password}, {}));
  return Json::object({{"asked", asked}});
}

const Fields& DiskJob::fields() {
  static const Fields table = runtime::job_fields<DiskJob>().required("paths", &DiskJob::paths, "");
  return table;
}

Result<Json> disk_job(const Json& json) {
  const DiskJob job = TRY(decode<DiskJob>(json));
  Json bytes = Json::array();
  for (const std::string& path : job.paths) bytes.push(bytes_below(path));
  return Json::object({{"bytes", std::move(bytes)}});
}

}  // namespace locald::builder
