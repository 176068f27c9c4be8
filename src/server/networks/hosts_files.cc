#include "server/networks/hosts_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/sys/sys.h"
#include "net/hosts_file.h"

namespace locald::server {

namespace {

std::map<std::string, std::vector<std::string>> names_of(const std::string& service,
                                                         const NetworkPlan& plan) {
  return plan.layout.attachment(plan.member(service)).names;
}

}  // namespace

std::vector<NamedContainer> renamed(const std::vector<NamedContainer>& containers,
                                    const NetworkPlan& before, const NetworkPlan& now) {
  std::vector<NamedContainer> out;
  for (const NamedContainer& container : containers) {
    const auto names = names_of(container.service, now);
    if (!names.empty() && names != names_of(container.service, before)) out.push_back(container);
  }
  return out;
}

std::string hosts_of(const std::string& service, const NetworkPlan& plan) {
  return net::hosts_text("", service, names_of(service, plan));
}

Result<void> rewrite(const std::string& path, const std::string& text) {
  const UniqueFd fd = TRY(sys::open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return Error(Errc::corrupt, path + " is not a file");
  // One write of as many bytes as there were, then the end: no line is ever cut.
  std::string padded = text;
  if (padded.size() < static_cast<std::size_t>(st.st_size))
    padded.resize(static_cast<std::size_t>(st.st_size), '\n');
  if (::pwrite(fd.get(), padded.data(), padded.size(), 0) != static_cast<ssize_t>(padded.size()))
    return Error::from_errno(errno, "write " + path);
  if (::ftruncate(fd.get(), static_cast<off_t>(text.size())) != 0)
    return Error::from_errno(errno, "truncate " + path);
  return {};
}

}  // namespace locald::server
