#include <unistd.h>

#include <cstdio>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/build.h"

namespace locald::cli {
namespace {

std::string seconds(std::int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f s", static_cast<double>(ms) / 1000);
  return text;
}

/// The process that a type starts, in words.
std::string command_text(const Json& process) {
  std::vector<std::string> words = process["command"].as_strings();
  for (const std::string& word : process["args"].as_strings()) words.push_back(word);
  // A shell's command is one text already.
  if (!process["direct"].as_bool() && words.size() == 1) return words[0];
  for (std::string& word : words) word = shell_quote(word);
  return join(words, " ");
}

/// `heading` before the first of `rows`, which are in columns.
std::string section(const std::string& heading, std::vector<std::vector<std::string>> rows) {
  std::string text;
  for (const std::string& line : split(table({}, rows), '\n'))
    if (!line.empty())
      text += "  " + (text.empty() ? heading : "") +
              std::string(12 - (text.empty() ? heading.size() : 0), ' ') + line + "\n";
  return text;
}

std::string summary(const Json& app, bool colour) {
  std::string name = join(app["services"].as_strings(), ", ");
  if (name.empty()) name = app["path"].as_string();
  const Json& times = app["times"];
  std::string text = paint(Colour::bold, name, colour) + ": ";
  if (app["built"].as_bool())
    text +=
        "built in " + seconds(times["total_ms"].as_int()) + ", " + app["reason"].as_string() + "\n";
  else
    text += "nothing has changed since " + app["built_at"].as_string() + "\n";
  text += section("builder", {{app["builder"].as_string(),
                               "lifecycle " + app["lifecycle"].as_string() + ", platform API " +
                                   app["platform_api"].as_string()}});
  text += section("run image", {{app["run_image"].as_string()}});
  std::vector<std::vector<std::string>> rows;
  for (const Json& buildpack : app["buildpacks"].as_array()) {
    const std::string& id = buildpack["id"].as_string();
    const std::string& version = buildpack["version"].as_string();
    std::string took;
    for (const Json& time : times["buildpacks"].as_array())
      if (time["name"].as_string() == id + "@" + version) took = seconds(time["ms"].as_int());
    rows.push_back({id, version, took});
  }
  text += section("buildpacks", std::move(rows));
  rows.clear();
  for (const Json& process : app["processes"].as_array())
    rows.push_back(
        {process["type"].as_string() + (process["default"].as_bool() ? " (default)" : ""),
         command_text(process)});
  text += section("processes", std::move(rows));
  if (app["built"].as_bool()) {
    std::vector<std::string> phases;
    for (const Json& time : times["phases"].as_array())
      phases.push_back(time["name"].as_string() + " " + seconds(time["ms"].as_int()));
    text += section("phases", {{join(phases, ", ")}});
  }
  if (const Json& image = app["image"]; image.is_object())
    text += section("image", {{image["name"].as_string(), image["digest"].as_string()}});
  return text;
}

Result<ipc::AppFolder> app_of_folder(const Args& args) {
  ipc::AppFolder app;
  app.path = TRY(folder_path(args.argument(0)));
  app.base_dir = TRY(working_dir());
  app.env = TRY(environment_options(args.values("env")));
  if (const auto builder = args.value("builder")) app.builder = TRY(image_name(*builder));
  if (const auto image = args.value("run-image")) app.run_image = TRY(image_name(*image));
  return app;
}

Result<int> run(Context& context, const Args& args) {
  const bool of_folder = !args.arguments().empty() && is_folder(args.argument(0));
  if (of_folder && args.arguments().size() > 1)
    return usage_error("one folder at a time", "or services: locald build api worker");
  for (const char* option : {"builder", "run-image", "env"})
    if (!of_folder && args.has(option))
      return usage_error("--" + std::string(option) + " is for a folder",
                         "a service says it in locald.toml; a folder is written ./FOLDER");
  ipc::BuildRequest request;
  if (of_folder) {
    request.app = TRY(app_of_folder(args));
    request.world.login_files = login_files();
  } else {
    request.project = TRY(context.project());
    request.services = args.arguments();
    request.world = world();
  }
  request.strict = args.has("strict");
  request.again = args.has("again");
  request.pull = args.has("pull") ? "always" : "";
  if (args.values("output").size() > 1)
    return usage_error("--output can be given once", "more places: locald image export NAME DEST");
  if (const auto output = args.value("output")) request.output = TRY(image_name(*output));
  request.tags = args.values("tag");
  auto client = TRY(context.connect());
  auto call = TRY(client.start(request));
  Progress progress;
  const auto reply = call.finish([&](const Json& event) { progress.event(event); });
  progress.finish();
  if (!reply) {
    if (args.has("json") && !call.error_object().is_null())
      (void)out(Json::object({{"error", call.error_object()}}).dump(/*pretty=*/true) + "\n");
    return reply.error();
  }
  if (args.has("json")) return out(reply->dump(/*pretty=*/true) + "\n") ? 0 : 1;
  std::string text;
  for (const Json& app : (*reply)["apps"].as_array()) {
    for (const std::string& line : app["notices"].as_strings()) notice(line);
    text += (text.empty() ? "" : "\n") + summary(app, has_colour(STDOUT_FILENO));
  }
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kBuild{
    .name = "build",
    .usage = "[OPTION…] [SERVICE…|./FOLDER]",
    .summary = "build apps with Cloud Native Buildpacks",
    .details =
        "Builds the named services of type = \"cnb\", or all of them, or a folder that need not\n"
        "be part of a project (written ./FOLDER or /FOLDER). Unchanged apps are not rebuilt.\n"
        "`up` builds by itself; running services keep running until then. Ctrl-C ends the\n"
        "build. Without --builder a folder's project.toml names the builder. The log: locald\n"
        "logs --build.\n\n"
        "examples:\n"
        "  locald build\n"
        "  locald build --again api\n"
        "  locald build ./api --builder paketobuildpacks/builder-jammy-base -e BP_NODE_VERSION=22\n"
        "  locald build --json api | jq '.apps[0].times'\n",
    .options =
        {{'B', "builder", "IMAGE", "build a folder with this builder: a name or oci:DIR:TAG"},
         {0, "run-image", "IMAGE", "build a folder for this run image instead of the builder's"},
         {'e', "env", "NAME=VALUE",
          "set a variable for buildpacks (of a folder); NAME alone takes it from here"},
         {0, "again", nullptr, "rebuild even if nothing has changed"},
         {0, "strict", nullptr,
          "run all five phases of the builder's own lifecycle, its exporter included"},
         {'o', "output", "DEST", "write the image to oci:DIR[:TAG] or oci-archive:FILE[:TAG]"},
         {'t', "tag", "NAME", "store the image under NAME; can be repeated"},
         {0, "pull", nullptr, "look for newer images of builder and run image"},
         {0, "json", nullptr, "print JSON, also for an error"}},
    .run = run,
};

}  // namespace locald::cli
