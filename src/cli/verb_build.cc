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
std::string command_text(const ipc::ProcessType& process) {
  std::vector<std::string> words = process.command;
  words.insert(words.end(), process.args.begin(), process.args.end());
  // A shell's command is one text already.
  if (!process.direct && words.size() == 1) return words[0];
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

std::string summary(const ipc::BuiltApp& app, bool colour) {
  const std::string name = app.services.empty() ? app.path : join(app.services, ", ");
  std::string text = paint(Colour::bold, name, colour) + ": ";
  if (app.built)
    text += "built in " + seconds(app.times.total_ms) + ", " + app.reason.value_or("") + "\n";
  else
    text += "nothing has changed since " + app.built_at + "\n";
  text +=
      section("builder",
              {{app.builder, "lifecycle " + app.lifecycle + ", platform API " + app.platform_api}});
  text += section("run image", {{app.run_image}});
  std::vector<std::vector<std::string>> rows;
  for (const ipc::BuildpackUsed& buildpack : app.buildpacks) {
    std::string took;
    for (const ipc::TimeTaken& time : app.times.buildpacks)
      if (time.name == buildpack.id + "@" + buildpack.version) took = seconds(time.ms);
    rows.push_back({buildpack.id, buildpack.version, took});
  }
  text += section("buildpacks", std::move(rows));
  rows.clear();
  for (const ipc::ProcessType& process : app.processes)
    rows.push_back(
        {process.type + (process.is_default ? " (default)" : ""), command_text(process)});
  text += section("processes", std::move(rows));
  if (app.built) {
    std::vector<std::string> phases;
    for (const ipc::TimeTaken& time : app.times.phases)
      phases.push_back(time.name + " " + seconds(time.ms));
    text += section("phases", {{join(phases, ", ")}});
  }
  if (app.image) text += section("image", {{app.image->name, app.image->digest}});
  return text;
}

Result<ipc::AppFolder> app_of_folder(const Args& args) {
  ipc::AppFolder app;
  app.path = TRY(absolute_path(args.argument(0)));
  app.base_dir = TRY(working_dir());
  app.env = TRY(environment_options(args.values("env")));
  if (const auto builder = args.value("builder")) app.builder = TRY(image_name(*builder));
  if (const auto image = args.value("run-image")) app.run_image = TRY(image_name(*image));
  return app;
}

Result<int> build_verb(Context& context, const Args& args) {
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
    request.project = TRY(context.place());
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
  const auto result = call.finish([&](const Json& event) { progress.event(event); });
  progress.finish();
  if (!result) {
    if (args.has("json") && !call.error_object().is_null())
      (void)print_json(Json::object({{"error", call.error_object()}}));
    return result.error();
  }
  if (args.has("json")) return print_json(*result);
  const auto reply = TRY(ipc::reply_to<ipc::BuildRequest>(*result));
  std::string text;
  for (const ipc::BuiltApp& app : reply.apps) {
    for (const std::string& line : app.notices) notice(line);
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
    .run = build_verb,
};

}  // namespace locald::cli
