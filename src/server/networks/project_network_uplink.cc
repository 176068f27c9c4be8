// The way out of what is not TCP: pasta.
#include <fcntl.h>
#include <poll.h>

#include <utility>

#include "server/networks/project_network.h"

namespace locald::server {
namespace {

bool has_ended(const Pasta& pasta) {
  pollfd look{pasta.pidfd(), POLLIN, 0};
  return ::poll(&look, 1, 0) > 0;
}

}  // namespace

Result<void> ProjectNetwork::start_uplink(const NetworkPlan& plan) {
  if (pasta_ && (!plan.uplink || has_ended(*pasta_))) {
    pasta_->end();
    pasta_.reset();
  }
  if (pasta_ || !plan.uplink) return {};
  auto started = [&]() -> Result<void> {
    pasta_ = TRY(Pasta::start({.paths = deps_.paths,
                               .program = TRY(find_pasta(deps_.cni.search_path)),
                               .project = project_,
                               .link = kUplink,
                               .sandbox = sandbox_->get(),
                               .user_namespace = TRY(deps_.user_namespace.fd())}));
    keep_uplink();
    return {};
  }();
  const std::lock_guard lock(wanted_mutex_);
  uplink_trouble_ = started ? "" : started.error().message();
  return started;
}

void ProjectNetwork::keep_uplink() {
  if (deps_.uplink_started)
    deps_.uplink_started(UniqueFd(::fcntl(pasta_->pidfd(), F_DUPFD_CLOEXEC, 0)));
}

std::string ProjectNetwork::uplink_trouble() const {
  const std::lock_guard lock(wanted_mutex_);
  return uplink_trouble_;
}

}  // namespace locald::server
