#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "project/keys/service_keys.h"

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

KeyFields build_table_fields(Sink& sink, BuildSpec& out) {
  return {{"env",
           shapes::variables(),
           {.text = "Variables for buildpacks.", .example = "env = { BP_NODE_VERSION = \"22\" }"},
           [&](const Node& v, const std::string& at) { read_variables(v, at, sink, out.env); }},
          {"bindings",
           shapes::folders(),
           {.text = "Bindings for buildpacks: folders at `/platform/bindings/NAME`.",
            .example = "bindings = { mirror = \"./mirror\" }"},
           [&](const Node& v, const std::string& at) { read_bindings(v, at, sink, out.bindings); }},
          {"host_ca",
           shapes::boolean(),
           {.text = "Gives buildpacks the host's certificates as a binding.",
            .otherwise = "where the host has certificates of its own",
            .example = "host_ca = false"},
           [&](const Node& v, const std::string& at) {
             bool on = false;
             read_bool(v, at, sink, on);
             out.host_ca = on;
           }},
          text_field("exec_env",
                     {.text = "The execution environment, which buildpacks find as `CNB_EXEC_ENV`.",
                      .otherwise = "what the builder takes: `\"production\"`",
                      .example = "exec_env = \"test\""},
                     sink, out.exec_env),
          bool_field("strict",
                     {.text = "Runs all five phases of the builder's own lifecycle.",
                      .fallback = "false",
                      .example = "strict = true"},
                     sink, out.strict),
          duration_field("timeout",
                         {.text = "How long a whole build may take; more than zero.",
                          .fallback = "\"1h\"",
                          .example = "timeout = \"10m\""},
                         sink, out.timeout)};
}

void read_build(const Node& node, const std::string& where, Sink& sink, BuildSpec& out) {
  if (!node.is_table()) return sink.expected(node, where, "a table like { env = { … } }");
  read_table(node, "`build`", sink, build_table_fields(sink, out));
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

KeyFields dev_table_fields(Sink& sink, BuildSpec& out) {
  return {{"sync",
           shapes::texts(),
           {.text = "Folders of the source that are bound, read-only, over the built app: a change "
                    "in them needs no build.",
            .example = "sync = [\"src/**\"]"},
           [&](const Node& v, const std::string& at) { read_sync(v, at, sink, out.live); }}};
}

}  // namespace

KeyFields build_fields(Sink& sink, ServiceSpec& out) {
  static const Shape build_table{.kind = Shape::Kind::table,
                                 .fields = looked_at<BuildSpec, build_table_fields>};
  static const Shape dev_table{.kind = Shape::Kind::table,
                               .fields = looked_at<BuildSpec, dev_table_fields>};
  BuildSpec& build = out.build;
  return {
      text_field("path",
                 {.text = "The folder of the app's source.",
                  .otherwise = "the file's folder",
                  .example = "path = \"api\""},
                 sink, build.path),
      text_field("builder",
                 {.text = "The builder: an image, as `image` takes it.",
                  .otherwise = "what the app's `project.toml` says; one of the two must",
                  .example = "builder = \"paketobuildpacks/builder-jammy-base\""},
                 sink, build.builder),
      text_field("run_image",
                 {.text = "The image that the app runs on.",
                  .otherwise = "the one that the builder names, or its nearest mirror",
                  .example = "run_image = \"paketobuildpacks/run-jammy-base\""},
                 sink, build.run_image),
      {"build",
       build_table,
       {.text = "How it is built.", .example = "build = { env = { BP_NODE_VERSION = \"22\" } }"},
       [&sink, &build](const Node& v, const std::string& at) { read_build(v, at, sink, build); }},
      {"dev",
       dev_table,
       {.text = "What makes work on it quicker.", .example = "dev = { sync = [\"src/**\"] }"},
       [&sink, &build](const Node& v, const std::string& at) {
         if (!v.is_table()) return sink.expected(v, at, "a table like { sync = [\"src/**\"] }");
         read_table(v, "`dev`", sink, dev_table_fields(sink, build));
       }},
      {"bindings",
       shapes::folders(),
       {.text = "Folders of credentials for the running app, each at "
                "`$SERVICE_BINDING_ROOT/NAME` ([servicebinding.io](https://servicebinding.io)).",
        .example = "bindings = { mail = \"./mail\" }"},
       [&sink, &out](const Node& v, const std::string& at) {
         read_bindings(v, at, sink, out.bindings);
       }}};
}

}  // namespace locald::project
