#include "project/user_config.h"

#include <stdlib.h>

#include "base/node/toml.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "project/keys/key_reader.h"

namespace locald::project {

namespace {

KeyFields user_config_fields(Sink& sink, Text& runtime) {
  return {text_field("runtime",
                     {.text = "The program that starts containers: a name that is looked for in "
                              "`PATH`, or a path.",
                      .otherwise = "`runc` of the package locald-runc, else of `PATH`",
                      .example = "runtime = \"/usr/sbin/runc\""},
                     sink, runtime)};
}

}  // namespace

const Shape& user_config_shape() {
  static const Shape shape{.kind = Shape::Kind::table,
                           .fields = looked_at<Text, user_config_fields>};
  return shape;
}

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
  Text runtime;
  read_table(file, "the file", sink, user_config_fields(sink, runtime));
  if (file.contains("runtime")) config.runtime = runtime.raw;
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
