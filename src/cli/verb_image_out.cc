#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

/// One request whose progress is shown.
Result<Json> ask(Context& context, const char* request, Json body) {
  body.set("cwd", TRY(working_dir()));
  body.set("login_files", login_files());
  auto client = TRY(context.connect());
  Progress progress;
  Json reply = TRY(client.call(request, body, [&](const Json& event) { progress.event(event); }));
  progress.finish();
  for (const std::string& text : reply["notices"].as_strings()) notice(text);
  return reply;
}

Result<int> print_image(const Json& reply, const Args& args) {
  if (args.has("json")) return out(reply.dump(/*pretty=*/true) + "\n") ? 0 : 1;
  return out(reply["name"].as_string() + "@" + reply["digest"].as_string() + "\n") ? 0 : 1;
}

Result<int> run_export(Context& context, const Args& args) {
  const Json reply = TRY(ask(context, "image/export",
                             Json::object({{"image", TRY(image_name(args.argument(0)))},
                                           {"target", TRY(image_name(args.argument(1)))}})));
  if (args.has("json")) return out(reply.dump(/*pretty=*/true) + "\n") ? 0 : 1;
  return out(reply["target"].as_string() + "@" + reply["digest"].as_string() + "\n") ? 0 : 1;
}

Result<int> run_push(Context& context, const Args& args) {
  Json body = Json::object({{"image", TRY(image_name(args.argument(0)))}});
  if (args.arguments().size() > 1) body.set("target", args.argument(1));
  const Json reply = TRY(ask(context, "image/push", std::move(body)));
  const auto number = [&](const char* name) { return std::to_string(reply[name].as_int()); };
  notice(number("uploaded") + " uploaded (" +
         human_bytes(static_cast<std::uint64_t>(reply["uploaded_bytes"].as_int())) + "), " +
         number("mounted") + " taken from other repositories, " + number("there_before") +
         " there before");
  return print_image(reply, args);
}

Result<int> run_rebase(Context& context, const Args& args) {
  Json body = Json::object({{"image", TRY(image_name(args.argument(0)))},
                            {"force", args.has("force")},
                            {"policy", args.value("policy").value_or("always")}});
  if (const auto run = args.value("run-image")) body.set("run_image", TRY(image_name(*run)));
  const Json reply = TRY(ask(context, "image/rebase", std::move(body)));
  notice((reply["changed"].as_bool() ? "now upon " : "nothing to do: it stands upon ") +
         reply["run_image"].as_string() + "@" + reply["run_image_digest"].as_string());
  return print_image(reply, args);
}

const Option kJson{0, "json", nullptr, "as JSON"};

}  // namespace

const Verb kImageExport{
    .name = "image export",
    .usage = "[--json] IMAGE DEST",
    .summary = "write an image to an OCI layout or archive",
    .details =
        "IMAGE is one of `locald image ls`, by name or id. DEST is oci:DIR[:TAG], an OCI image "
        "layout, or\n"
        "oci-archive:FILE[:TAG], the same in a tar; without TAG it is called \"latest\" there. An "
        "existing layout\n"
        "is added to, an existing FILE is replaced. Prints where it is, and its digest. An app's "
        "image comes out\n"
        "of `locald build --output` or `--tag`.\n\n"
        "examples:\n"
        "  locald image export redis:7 oci:./images:redis\n"
        "  locald image export shop/api oci-archive:api.tar && podman load -i api.tar\n",
    .options = {kJson},
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run_export,
};
const Verb kImagePush{
    .name = "image push",
    .usage = "[--json] IMAGE [NAME]",
    .summary = "put an image into a registry",
    .details =
        "Under NAME, or under its own name: registry.example/team/app:1. What the registry has is "
        "not sent again,\n"
        "and what another of its repositories has is taken from there. Logins are read from "
        "~/.docker/config.json\n"
        "and $XDG_RUNTIME_DIR/containers/auth.json: `podman login registry.example` writes one. "
        "Plain http is\n"
        "spoken to this machine alone. Prints the name and the digest.\n\n"
        "examples:\n"
        "  locald build api --tag registry.example/team/api:7 && locald image push "
        "registry.example/team/api:7\n"
        "  locald image push shop/api localhost:5000/shop/api:test\n",
    .options = {kJson},
    .min_arguments = 1,
    .max_arguments = 2,
    .run = run_push,
};
const Verb kImageRebase{
    .name = "image rebase",
    .usage = "[OPTION…] IMAGE",
    .summary = "exchange the run image below an app's image, without building",
    .details =
        "IMAGE, built with Cloud Native Buildpacks, afterwards means the new one: the layers of "
        "its "
        "run image are\n"
        "those that the run image's name means today, its own are as they were. It is refused "
        "where "
        "another system\n"
        "or distribution would come below it, or another run image than the app was built for.\n\n"
        "examples:\n"
        "  locald image rebase registry.example/team/api:7 && locald image push "
        "registry.example/team/api:7\n",
    .options = {{0, "run-image", "IMAGE", "this one, instead of what the image's label says"},
                {0, "force", nullptr, "also where it is refused"},
                {0, "policy", "WHEN", "fetch the run image: always (the default), missing, never"},
                kJson},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_rebase,
};

}  // namespace locald::cli
