#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

Result<int> run(Context& context, const Args& args) {
  std::string path = args.arguments().empty() ? "." : args.argument(0);
  if (!path.starts_with('/')) path = TRY(working_dir()) + "/" + path;
  while (path.ends_with("/.")) path.resize(path.size() - 2);
  Json app = Json::object({{"path", path}, {"base_dir", TRY(working_dir())}});
  if (const auto builder = args.value("builder")) app.set("builder", TRY(image_name(*builder)));
  if (const auto image = args.value("run-image")) app.set("run_image", TRY(image_name(*image)));
  app.set("strict", args.has("strict"));
  app.set("env", TRY(environment_options(args.values("env"))));
  auto client = TRY(context.connect());
  Progress progress;
  const Json reply = TRY(client.call(
      "build", Json::object({{"app", std::move(app)}, {"again", args.has("again")}}),
      [&](const Json& event) { progress.event(event); }));
  progress.finish();
  return out(reply.dump(/*pretty=*/true) + "\n") ? 0 : 1;
}

}  // namespace

const Verb kBuild{
    .name = "build",
    .usage = "[OPTION…] [PATH]",
    .summary = "build an app with Cloud Native Buildpacks",
    .details = "",
    .options = {{'B', "builder", "IMAGE", "the builder"},
                {0, "run-image", "IMAGE", "the run image"},
                {0, "strict", nullptr, "all five phases of the builder's lifecycle"},
                {0, "again", nullptr, "also where nothing has changed"},
                {'e', "env", "NAME=VALUE", "for buildpacks"}},
    .max_arguments = 1,
    .run = run,
};

}  // namespace locald::cli
