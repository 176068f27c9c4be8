#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop/job_pool.h"
#include "builder/environment.h"
#include "oci/ref/reference.h"
#include "project/docker_health.h"
#include "project/resolve/asked_images.h"
#include "server/progress_event.h"

namespace locald::server {

/// What an image tells of its containers.
struct ImageAnswer {
  int port = 0;  ///< the TCP port that it exposes; 0: none, or several
  project::DockerHealth health;
};

/// What images tell of which the project's file says nothing. Loop thread only.
class ImageAnswers {
 public:
  struct Deps {
    EventLoop& loop;
    builder::Environment& environment;
    JobPool& jobs;
  };
  explicit ImageAnswers(Deps deps) : deps_(deps) {}

  /// Reads a few small files.
  /// @return nothing: the image is not here
  std::optional<ImageAnswer> find(const oci::ImageReference& image) const;

  struct Pull {
    std::vector<project::AskedImage> services;
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
