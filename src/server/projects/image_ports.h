#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop/job_pool.h"
#include "builder/environment.h"
#include "oci/ref/reference.h"
#include "project/resolve/image_ports.h"
#include "server/progress_event.h"

namespace locald::server {

/// Where containers listen of which only their image tells. Loop thread only.
class ImagePorts {
 public:
  struct Deps {
    EventLoop& loop;
    builder::Environment& environment;
    JobPool& jobs;
  };
  explicit ImagePorts(Deps deps) : deps_(deps) {}

  /// The TCP port that the image exposes; 0: none, or several. Reads a few small files.
  /// @return nothing: the image is not here
  std::optional<int> find(const oci::ImageReference& image) const;

  struct Pull {
    std::vector<project::UnknownPort> services;
    std::string dir;  ///< of the project
    std::vector<std::string> login_files;
    std::function<void(const std::string& service, const ipc::ProgressEvent& progress)> progress;
    std::function<void(const std::string& service, const std::string& text)> notice;
    std::function<void(Result<void>)> done;  ///< once, on the loop, later
  };
  /// Fetches the images. Cancelling what it returns ends that early.
  std::vector<JobPool::Job> pull(Pull pull);

 private:
  Deps deps_;
};

}  // namespace locald::server
