#pragma once
#include <map>
#include <string>
#include <vector>

#include "ipc/messages/project.h"

namespace locald::server {

/// What the options of `up` ask of a project beside what its file says. It counts until the project
/// is down, for `up` and for all else that reads the file: each option until it is given again.
struct Wishes {
  std::vector<std::string> profiles, allowed;  ///< of a compose file
  std::string publish_address;                 ///< the same
  std::string low_ports;                       ///< "+8000"; empty: as the file says

  /// Takes of `earlier` what is not said here. @param env  of the request: COMPOSE_PROFILES
  /// there says which profiles are meant.
  void fill_in(const Wishes& earlier, const std::map<std::string, std::string>& env);
  bool any() const;

  static const Fields& fields();
};

Wishes wishes_of(const ipc::ComposeWishes& compose);
Wishes wishes_of(const ipc::UpRequest& request);

}  // namespace locald::server
