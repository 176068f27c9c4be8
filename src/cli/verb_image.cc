#include <sys/stat.h>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/image.h"

namespace locald::cli {
namespace {

std::string short_digest(const std::string& digest) {
  const auto colon = digest.find(':');
  return colon == std::string::npos ? digest : digest.substr(colon + 1, 12);
}

Result<int> image_pull(Context& context, const Args& args) {
  const std::string policy = args.value("policy").value_or("always");
  auto client = TRY(context.connect());
  for (const std::string& image : args.arguments()) {
    Progress progress;
    const auto reply = TRY(client.ask(ipc::ImagePullRequest{.image = TRY(image_name(image)),
                                                            .policy = policy,
                                                            .cwd = {},
                                                            .login_files = login_files()},
                                      [&](const Json& event) { progress.event(event); }));
    progress.finish();
    if (!out(reply.name + "@" + reply.digest + "\n")) return 1;
  }
  return 0;
}

Result<int> image_ls(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(ipc::ImageListRequest{})));
  const auto reply = TRY(client.ask(ipc::ImageListRequest{}));
  std::vector<std::vector<std::string>> rows;
  for (const ipc::ImageEntry& image : reply.images)
    rows.push_back({image.name, short_digest(image.digest), human_bytes(image.size),
                    std::to_string(image.layers), image.created});
  return out(table({"IMAGE", "DIGEST", "SIZE", "LAYERS", "CREATED"}, rows)) ? 0 : 1;
}

Result<int> image_rm(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  ipc::ImageRemoveRequest request;
  for (const std::string& image : args.arguments())
    request.images.push_back(TRY(image_name(image)));
  const auto reply = TRY(client.ask(request));
  std::string text;
  for (const std::string& name : reply.removed) text += name + "\n";
  notice(human_bytes(reply.freed_bytes) + " freed");
  return out(text) ? 0 : 1;
}

Result<int> image_unpack(Context& context, const Args& args) {
  ipc::ImageUnpackRequest request;
  request.image = TRY(image_name(args.argument(0)));
  request.dir = TRY(absolute_path(args.argument(1)));
  auto client = TRY(context.connect());
  Progress progress;
  const auto reply = TRY(client.ask(request, [&](const Json& event) { progress.event(event); }));
  progress.finish();
  for (const std::string& warning : reply.warnings) notice(warning);
  return out(reply.digest + "\n") ? 0 : 1;
}

const Option kPolicy{0, "policy", "WHEN", "always (default), missing or never"};

}  // namespace

Result<std::string> image_name(const std::string& reference) {
  for (const char* transport : {"oci:", "oci-archive:", "docker-archive:"}) {
    if (!reference.starts_with(transport)) continue;
    const std::string path = reference.substr(std::string_view(transport).size());
    return transport + TRY(absolute_path(path));
  }
  return reference;
}

const Verb kImagePull{
    .name = "image pull",
    .usage = "[--policy WHEN] IMAGE…",
    .summary = "fetch images and make them ready to run",
    .details =
        "IMAGE is a name as Docker writes it (redis:7, registry.example/app@sha256:…),\n"
        "oci:DIR:TAG or oci-archive:FILE. Only missing parts are fetched. Ctrl-C cancels; the\n"
        "next pull uses the parts that were fetched.\n\n"
        "examples:\n"
        "  locald image pull redis:7\n"
        "  locald image pull oci:./build/images:web\n",
    .options = {kPolicy},
    .min_arguments = 1,
    .run = image_pull,
};
const Verb kImageLs{
    .name = "image ls",
    .usage = "[--json]",
    .summary = "list the images in the store",
    .details = "",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = image_ls,
};
const Verb kImageRm{
    .name = "image rm",
    .usage = "IMAGE…",
    .summary = "remove images, and the layers that no other image needs",
    .details = "",
    .options = {},
    .min_arguments = 1,
    .run = image_rm,
};
const Verb kImageUnpack{
    .name = "image unpack",
    .usage = "IMAGE DIR",
    .summary = "write an image's whole file tree into a new folder",
    .details =
        "DIR must not exist or be empty. Prints the manifest's digest.\n\n"
        "examples:\n"
        "  locald image unpack debian:12 ./rootfs\n",
    .options = {},
    .min_arguments = 2,
    .max_arguments = 2,
    .run = image_unpack,
};

}  // namespace locald::cli
