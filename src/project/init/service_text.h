#pragma once
#include <string>
#include <utility>
#include <vector>

namespace locald::project::init {

/// A table [services.NAME] of a proposal. Texts are as locald.toml's: `${services.db.port}`;
/// a command is as its shell would have it. Empty: it is not written.
struct ServiceText {
  std::string name, from;
  std::string command, workdir;
  std::string image;
  bool is_app = false;
  std::string path, builder;
  bool listens = false;
  int port = 0;
  int container_port = 0;
  bool once = false;
  std::string env_file;
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<std::string> depends_on;
  std::string volume;
  std::vector<std::string> check;
  std::string start_period;
};

/// The whole file.
std::string file_text(const std::string& project, const std::vector<std::string>& files,
                      const std::vector<std::string>& notes,
                      const std::vector<ServiceText>& services);

}  // namespace locald::project::init
