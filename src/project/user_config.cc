#include "project/user_config.h"

#include <stdlib.h>

#include "base/node/toml.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "net/cni/conflist.h"
#include "project/keys/key_reader.h"

namespace locald::project {

namespace {

struct UserConfigReading {
  Text runtime;
  std::vector<Text> cni_path;
  Milliseconds cni_timeout{};
};

KeyFields user_config_fields(Sink& sink, UserConfigReading& out) {
  return {text_field("runtime",
                     {.text = "The program that starts containers: a name that is looked for in "
                              "`PATH`, or a path.",
                      .otherwise = "`runc` of the package locald-runc, else of `PATH`",
                      .example = "runtime = \"/usr/sbin/runc\""},
                     sink, out.runtime),
          texts_field("cni_path",
                      {.text = "Folders in which the plugins of `cni` are looked for.",
                       .fallback = "[\"/usr/lib/cni\", \"/opt/cni/bin\"]",
                       .example = "cni_path = [\"/home/me/plugins\", \"/usr/lib/cni\"]",
                       .since = "0.2"},
                      sink, out.cni_path, /*one_is_fine=*/true),
          duration_field("cni_timeout",
                         {.text = "How long one call of a CNI plugin may take before it is ended.",
                          .fallback = "\"10s\"",
                          .example = "cni_timeout = \"30s\"",
                          .since = "0.2"},
                         sink, out.cni_timeout)};
}

}  // namespace

const Shape& user_config_shape() {
  static const Shape shape{.kind = Shape::Kind::table,
                           .fields = looked_at<UserConfigReading, user_config_fields>};
  return shape;
}

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
  UserConfigReading read;
  read.cni_timeout = config.cni_timeout;
  read_table(file, "the file", sink, user_config_fields(sink, read));
  if (file.contains("runtime")) config.runtime = read.runtime.raw;
  config.cni_timeout = read.cni_timeout;
  if (file.contains("cni_path")) config.cni_path.clear();
  for (const Text& folder : read.cni_path) {
    if (!folder.raw.starts_with('/'))
      sink.add(folder.at, "`cni_path`: \"" + folder.raw + "\" is not an absolute path");
    config.cni_path.push_back(folder.raw);
  }
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
