#pragma once
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "project/init/folder.h"

/// `locald init`: from the files of a folder to a locald.toml.
namespace locald::project::init {

struct ProposedService {
  std::string name;
  std::string what;  ///< "npm run dev", "postgres:17"
  std::string from;  ///< what it was read from: "package.json: scripts.dev"
};

struct Proposal {
  std::string text;  ///< of the file; `config check` has nothing against it
  std::vector<ProposedService> services;
  std::vector<std::string> files;  ///< that were read, relative to the folder
  std::vector<std::string> notes;  ///< whole sentences
};

/// @param without  names of services that are left out, with all that waits for them or asks for
///                 their address.
/// @return Errc::not_found where nothing is found, or nothing is left.
Result<Proposal> propose(const Folder& folder, const std::set<std::string>& without = {});

}  // namespace locald::project::init
