#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/store.h"

namespace locald::cli {
namespace {

/// The words of a builder that every step has, and that say nothing.
std::string step_text(const ipc::ImageStep& step) {
  std::string text = harmless(step.created_by);
  for (const std::string_view prefix : {"/bin/sh -c #(nop) ", "/bin/sh -c "})
    if (text.starts_with(prefix)) text.erase(0, prefix.size());
  for (char& c : text)
    if (c == '\n') c = ' ';
  return std::string(trim(text.empty() ? harmless(step.comment) : text));
}

Result<int> image_inspect(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  Json all = Json::array();
  for (const std::string& name : args.arguments()) {
    auto image =
        TRY(client.ask(ipc::ImageInspectRequest{TRY(image_name(name)), TRY(working_dir())}));
    if (!args.has("env"))
      for (auto& [variable, value] : image.env) value = "…";
    all.push(encode(image));
  }
  return print_json(args.arguments().size() == 1 ? all.as_array()[0] : all);
}

Result<int> image_tag(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(ipc::ImageTagRequest{TRY(image_name(args.argument(0))),
                                                         args.argument(1), TRY(working_dir())}));
  return out(reply.name + "\n") ? 0 : 1;
}

Result<int> image_history(Context& context, const Args& args) {
  const ipc::ImageHistoryRequest request{TRY(image_name(args.argument(0))), TRY(working_dir())};
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(request)));
  const auto reply = TRY(client.ask(request));
  std::vector<std::vector<std::string>> rows;
  for (const ipc::ImageStep& step : reply.steps)
    rows.push_back(
        {step.created.substr(0, 10), step.empty ? "-" : human_bytes(step.size), step_text(step)});
  std::string text;
  for (const std::string& line : split(table({"CREATED", "SIZE", "CREATED BY"}, rows), '\n'))
    if (!line.empty()) text += cut_to(line, output_width()) + "\n";
  return out(text) ? 0 : 1;
}

Result<int> image_prune(Context& context, const Args& args) {
  const bool dry = args.has("dry-run");
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(ipc::ImagePruneRequest{args.has("all"), dry}));
  std::string text;
  for (const std::string& name : reply.removed) text += name + "\n";
  notice(human_bytes(reply.freed_bytes) + (dry ? " would be freed" : " freed"));
  if (!reply.kept.empty())
    notice(std::to_string(reply.kept.size()) + (reply.kept.size() == 1 ? " image" : " images") +
           " more that nothing uses: locald image prune --all");
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kImageInspect{
    .name = "image inspect",
    .usage = "[--env] IMAGE…",
    .summary = "print what an image of the store is",
    .details =
        "Its platform, command, user, ports, volumes, labels and layers, as JSON; of several\n"
        "images an array. Values of the environment are shown as … without --env.\n\n"
        "examples:\n"
        "  locald image inspect redis:7 | jq -c .command\n",
    .options = {{0, "env", nullptr, "with the values of the environment, which may be secrets"}},
    .min_arguments = 1,
    .run = image_inspect,
};
const Verb kImageTag{
    .name = "image tag",
    .usage = "IMAGE NAME",
    .summary = "give an image of the store another name too",
    .details =
        "Where another image has NAME, that one loses it. `locald image push` pushes by a name.\n\n"
        "examples:\n"
        "  locald image tag redis:7 registry.example/team/redis:7\n",
    .options = {},
    .min_arguments = 2,
    .max_arguments = 2,
    .run = image_tag,
};
const Verb kImageHistory{
    .name = "image history",
    .usage = "[--json] IMAGE",
    .summary = "show the steps by which an image was made, the last one first",
    .details =
        "As the image tells it. SIZE is that of the step's layer, compressed; - where it made\n"
        "none.\n",
    .options = {{0, "json", nullptr, "as JSON"}},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = image_history,
};
const Verb kImagePrune{
    .name = "image prune",
    .usage = "[--all] [--dry-run]",
    .summary = "remove what no image needs; with --all unused images too",
    .details =
        "Without --all: blobs and layers that no name leads to, such as what a newer pull of the\n"
        "same name has left. With --all also images that no container, running or kept, stands\n"
        "on, and that no service of a project that is up names.\n\n"
        "examples:\n"
        "  locald image prune\n"
        "  locald image prune --all --dry-run\n",
    .options = {{'a', "all", nullptr, "also images that nothing uses"},
                {0, "dry-run", nullptr, "print what would be removed, and remove nothing"}},
    .max_arguments = 0,
    .run = image_prune,
};

}  // namespace locald::cli
