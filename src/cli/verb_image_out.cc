#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/image.h"

namespace locald::cli {
namespace {

/// One request whose progress is shown.
template <class R>
Result<Json> call_with_progress(Context& context, const R& request) {
  auto client = TRY(context.connect());
  Progress progress;
  Json reply = TRY(client.call(request, [&](const Json& event) { progress.event(event); }));
  progress.finish();
  return reply;
}

/// @param json  the reply as it came, for `--json`
Result<int> print_image(const std::string& name, const std::string& digest, const Json& json,
                        const Args& args) {
  if (args.has("json")) return print_json(json);
  return out(name + "@" + digest + "\n") ? 0 : 1;
}

Result<int> image_export(Context& context, const Args& args) {
  const ipc::ImageExportRequest request{.image = TRY(image_name(args.argument(0))),
                                        .target = TRY(image_name(args.argument(1))),
                                        .cwd = TRY(working_dir())};
  const Json json = TRY(call_with_progress(context, request));
  const auto reply = TRY(ipc::reply_to<ipc::ImageExportRequest>(json));
  return print_image(reply.target, reply.digest, json, args);
}

Result<int> image_push(Context& context, const Args& args) {
  const ipc::ImagePushRequest request{
      .image = TRY(image_name(args.argument(0))),
      .target = args.arguments().size() > 1 ? args.argument(1) : std::string(),
      .cwd = TRY(working_dir()),
      .login_files = login_files()};
  const Json json = TRY(call_with_progress(context, request));
  const auto reply = TRY(ipc::reply_to<ipc::ImagePushRequest>(json));
  notice(std::to_string(reply.uploaded) + " uploaded (" + human_bytes(reply.uploaded_bytes) +
         "), " + std::to_string(reply.mounted) + " taken from other repositories, " +
         std::to_string(reply.there_before) + " there before");
  return print_image(reply.name, reply.digest, json, args);
}

Result<int> image_rebase(Context& context, const Args& args) {
  ipc::ImageRebaseRequest request{.image = TRY(image_name(args.argument(0))),
                                  .run_image = {},
                                  .force = args.has("force"),
                                  .policy = args.value("policy").value_or("always"),
                                  .cwd = TRY(working_dir()),
                                  .login_files = login_files()};
  if (const auto run = args.value("run-image")) request.run_image = TRY(image_name(*run));
  const Json json = TRY(call_with_progress(context, request));
  const auto reply = TRY(ipc::reply_to<ipc::ImageRebaseRequest>(json));
  for (const std::string& text : reply.notices) notice(text);
  notice((reply.changed ? "rebased onto " : "already up to date with ") + reply.run_image + "@" +
         reply.run_image_digest);
  return print_image(reply.name, reply.digest, json, args);
}

const Option kJson{0, "json", nullptr, "as JSON"};

}  // namespace

const Verb kImageExport{
    .name = "image export",
    .usage = "[--json] IMAGE DEST",
    .summary = "write an image to an OCI layout or archive",
    .details =
        "IMAGE is one of `locald image ls`, by name or id. DEST is oci:DIR[:TAG], an OCI image\n"
        "layout, or oci-archive:FILE[:TAG], the same in a tar; without TAG the image is called\n"
        "\"latest\" there. An existing layout is added to, an existing FILE is replaced. Prints\n"
        "the destination and the digest. The image of an app comes from `locald build --output`\n"
        "or `--tag`.\n\n"
        "examples:\n"
        "  locald image export redis:7 oci:./images:redis\n"
        "  locald image export shop/api oci-archive:api.tar && podman load -i api.tar\n",
    .options = {kJson},
    .min_arguments = 2,
    .max_arguments = 2,
    .run = image_export,
};
const Verb kImagePush{
    .name = "image push",
    .usage = "[--json] IMAGE [NAME]",
    .summary = "push an image to a registry",
    .details =
        "Pushes IMAGE under NAME, or under its own name: registry.example/team/app:1. Layers\n"
        "that the registry has are not sent again, and layers that another of its repositories\n"
        "has are mounted from there. Logins are read from ~/.docker/config.json and\n"
        "$XDG_RUNTIME_DIR/containers/auth.json: `locald login registry.example` writes one.\n"
        "Plain http is used for this machine only. Prints the name and the digest.\n\n"
        "examples:\n"
        "  locald build api --tag hub.example/api:7 && locald image push hub.example/api:7\n"
        "  locald image push shop/api localhost:5000/shop/api:test\n",
    .options = {kJson},
    .min_arguments = 1,
    .max_arguments = 2,
    .run = image_push,
};
const Verb kImageRebase{
    .name = "image rebase",
    .usage = "[OPTION…] IMAGE",
    .summary = "rebase an app image onto a newer run image, without rebuilding",
    .details =
        "Replaces the run image layers of IMAGE, which Cloud Native Buildpacks built, by those\n"
        "that the run image's name means today. The app's own layers stay as they are, and the\n"
        "name of IMAGE means the new image afterwards. Refused if the new run image has another\n"
        "system or distribution, or is not the run image that the app was built for.\n\n"
        "examples:\n"
        "  locald image rebase registry.example/team/api:7 && locald image push "
        "registry.example/team/api:7\n",
    .options = {{0, "run-image", "IMAGE",
                 "use this run image instead of the one in the image's label"},
                {0, "force", nullptr, "rebase even if the checks fail"},
                {0, "policy", "WHEN", "fetch the run image: always (the default), missing, never"},
                kJson},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = image_rebase,
};

}  // namespace locald::cli
