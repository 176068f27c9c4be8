#include "server/progress_event.h"

namespace locald::server {

ipc::ProgressEvent progress_event(const builder::PrepareProgress& progress,
                                  const std::string& service) {
  return {.service = service,
          .phase = progress.phase,
          .item = progress.item,
          .done = progress.done,
          .total = progress.total};
}

}  // namespace locald::server
