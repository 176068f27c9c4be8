#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "project/keys/service_reader.h"

namespace locald::project {
namespace {

void read_bindings(const Node& node, const std::string& where, Sink& sink,
                   std::vector<std::pair<std::string, Text>>& out) {
  if (!node.is_table()) return sink.expected(node, where, "a table NAME = \"folder\"");
  for (const auto& [name, value] : node.as_table()) {
    Text folder;
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos)
      sink.add(value.key_at(),
               fmt::format("{}: \"{}\" cannot be the name of a binding", where, name));
    else if (read_text(value, fmt::format("{}: {}", where, name), sink, folder))
      out.emplace_back(name, std::move(folder));
  }
}

void read_build(const Node& node, const std::string& where, Sink& sink, BuildSpec& out) {
  if (!node.is_table()) return sink.expected(node, where, "a table like { env = { … } }");
  read_table(
      node, "`build`", sink,
      {{"env", [&](const Node& v, const std::string& at) { read_variables(v, at, sink, out.env); }},
       {"bindings",
        [&](const Node& v, const std::string& at) { read_bindings(v, at, sink, out.bindings); }},
       {"host_ca",
        [&](const Node& v, const std::string& at) {
          bool on = false;
          read_bool(v, at, sink, on);
          out.host_ca = on;
        }},
       text_field("exec_env", sink, out.exec_env),
       bool_field("strict", sink, out.strict),
       duration_field("timeout", sink, out.timeout)});
  if (out.timeout.count() <= 0)
    sink.add(node.at(), "`timeout` of a build must be greater than zero");
}

/// "src", "src/" and "src/**" are the folder src: what is bound is a folder.
void read_sync(const Node& node, const std::string& where, Sink& sink, std::vector<Text>& out) {
  std::vector<Text> texts;
  read_texts(node, where, sink, texts);
  for (Text& text : texts) {
    std::string folder = text.raw;
    if (folder.starts_with("./")) folder.erase(0, 2);
    if (folder.ends_with("/**")) folder.resize(folder.size() - 3);
    while (folder.ends_with('/')) folder.pop_back();
    const auto parts = split(folder, '/');
    const bool plain = folder.find_first_of("*?[\\!") == std::string::npos;
    bool names = !folder.empty() && folder != "**";
    for (const std::string& part : parts)
      names = names && !part.empty() && part != "." && part != "..";
    if (!plain || !names) {
      sink.add(
          text.at, fmt::format("{}: \"{}\" does not name a folder of the app", where, text.raw),
          folder.empty() || folder == "**" || folder == "."
              ? "the app's whole folder would hide what buildpacks put there; name those below "
                "it: \"src/**\""
              : "a folder with all that is in it: \"src/**\"");
      continue;
    }
    text.raw = folder;
    if (std::any_of(out.begin(), out.end(), [&](const Text& t) { return t.raw == folder; }))
      continue;
    out.push_back(std::move(text));
  }
}

}  // namespace

std::vector<Field> build_fields(Sink& sink, ServiceSpec& out) {
  BuildSpec& build = out.build;
  return {
      text_field("path", sink, build.path),
      text_field("builder", sink, build.builder),
      text_field("run_image", sink, build.run_image),
      {"build",
       [&sink, &build](const Node& v, const std::string& at) { read_build(v, at, sink, build); }},
      {"dev",
       [&sink, &build](const Node& v, const std::string& at) {
         if (!v.is_table()) return sink.expected(v, at, "a table like { sync = [\"src/**\"] }");
         read_table(v, "`dev`", sink, {{"sync", [&](const Node& sync, const std::string& where) {
                                          read_sync(sync, where, sink, build.live);
                                        }}});
       }},
      {"bindings", [&sink, &out](const Node& v, const std::string& at) {
         read_bindings(v, at, sink, out.bindings);
       }}};
}

}  // namespace locald::project
