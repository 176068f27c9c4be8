#include "project/user_config.h"

#include <stdlib.h>

#include "base/node/toml.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "net/cni/conflist.h"
#include "project/keys/key_reader.h"

namespace locald::project {

Result<UserConfig> load_user_config(const std::string& path) {
  UserConfig config;
  config.cni_path = split(net::kCniPath, ':');
  auto text = read_file(path, 1u << 20);
  if (!text) {
    if (text.error().code() == Errc::not_found) return config;
    return std::move(text).error();
  }
  const Node file = TRY(parse_toml(*text, path));
  Problems problems;
  Sink sink{path, problems};
  const auto runtime = [&](const Node& node, const std::string& where) {
    Text word;
    if (read_text(node, where, sink, word)) config.runtime = word.raw;
  };
  const auto cni_path = [&](const Node& node, const std::string& where) {
    std::vector<Text> folders;
    read_texts(node, where, sink, folders, /*one_is_fine=*/true);
    config.cni_path.clear();
    for (const Text& folder : folders) {
      if (!folder.raw.starts_with('/'))
        sink.add(folder.at, where + ": \"" + folder.raw + "\" is not an absolute path");
      config.cni_path.push_back(folder.raw);
    }
  };
  read_table(file, "the file", sink,
             {{"runtime", runtime},
              {"cni_path", cni_path},
              duration_field("cni_timeout", sink, config.cni_timeout)});
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
