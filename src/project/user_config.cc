#include "project/user_config.h"

#include <stdlib.h>

#include "base/node/toml.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "project/keys/key_reader.h"

namespace locald::project {

Result<UserConfig> load_user_config(const std::string& path) {
  UserConfig config;
  auto text = read_file(path, 1u << 20);
  if (!text) {
    if (text.error().code() == Errc::not_found) return config;
    return std::move(text).error();
  }
  const Node file = TRY(parse_toml(*text, path));
  Problems problems;
  Sink sink{path, problems};
  read_table(file, "the file", sink, {{"runtime", [&](const Node& v, const std::string& at) {
                                         Text word;
                                         if (read_text(v, at, sink, word))
                                           config.runtime = word.raw;
                                       }}});
  if (!problems.empty()) return Error(Errc::invalid_input, describe(problems));
  return config;
}

std::string program_search_path() {
  const char* env = ::getenv("PATH");
  std::vector<std::string> folders =
      split(env != nullptr && *env != '\0' ? env : "/usr/local/bin:/usr/bin:/bin", ':');
  for (std::size_t i = 0, n = folders.size(); i < n; ++i)
    if (folders[i].ends_with("/bin"))
      folders.push_back(folders[i].substr(0, folders[i].size() - 3) + "sbin");
  return join(folders, ":");
}

}  // namespace locald::project
