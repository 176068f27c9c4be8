#include "server/networks/hosts_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/sys/sys.h"
#include "net/hosts_file.h"
#include "project/project_spec.h"

namespace locald::server {

std::vector<HostsFile> changed_hosts(
    const std::vector<NamedContainer>& containers, const net::Layout& before,
    const net::Layout& now, const std::function<std::string(const std::string& service)>& member) {
  std::vector<HostsFile> out;
  for (const NamedContainer& container : containers) {
    const std::string hostname = project::slug(container.service);
    const std::string place = member(hostname);
    const auto names = now.attachment(place).names;
    if (names.empty() || names == before.attachment(place).names) continue;
    out.push_back({container.bundle + "/hosts", net::hosts_text("", hostname, names)});
  }
  return out;
}

Result<void> rewrite(const HostsFile& file) {
  const UniqueFd fd = TRY(sys::open(file.path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return Error(Errc::corrupt, file.path + " is not a file");
  // One write of as many bytes as there were, then the end: no line is ever cut.
  std::string padded = file.text;
  if (padded.size() < static_cast<std::size_t>(st.st_size))
    padded.resize(static_cast<std::size_t>(st.st_size), '\n');
  if (::pwrite(fd.get(), padded.data(), padded.size(), 0) != static_cast<ssize_t>(padded.size()))
    return Error::from_errno(errno, "write " + file.path);
  if (::ftruncate(fd.get(), static_cast<off_t>(file.text.size())) != 0)
    return Error::from_errno(errno, "truncate " + file.path);
  return {};
}

}  // namespace locald::server
