#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/container.h"
#include "ipc/messages/image.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

/// `reply` with the word that says what it is in front.
int print_as(const char* type, const Json& reply) {
  Json out = Json::object({{"type", type}});
  for (const auto& [name, value] : reply.as_object()) out.set(name, value);
  return print_json(out);
}

/// The service of that name; an error of code not_found: there is no project here, or none such.
Result<Json> service_named(Context& context, ipc::Client& client, const std::string& name,
                           bool env) {
  const ipc::ProjectPlace project = TRY(context.project());
  return client.call(ipc::InspectRequest{project, name, env});
}

/// A container of `container run`, by name, id or the beginning of one id.
Result<std::optional<ipc::ContainerStatus>> container_named(ipc::Client& client,
                                                            const std::string& name) {
  const auto reply = TRY(client.ask(ipc::ContainerListRequest{}));
  std::optional<ipc::ContainerStatus> found;
  for (const ipc::ContainerStatus& c : reply.containers) {
    if (c.id == name || c.name == name) return std::optional(c);
    if (!c.id.starts_with(name)) continue;
    if (found)
      return Error(Errc::invalid_input, "ambiguous container id \"" + name + "\"")
          .with_hint("give more characters of the id");
    found = c;
  }
  return found;
}

Result<int> inspect_verb(Context& context, const Args& args) {
  const std::string& name = args.argument(0);
  auto client = TRY(context.connect());
  auto service = service_named(context, client, name, args.has("env"));
  if (service) return print_as("service", *service);
  if (service.error().code() != Errc::not_found) return std::move(service).error();
  if (const auto container = TRY(container_named(client, name)))
    return print_as("container", encode(*container));
  const auto image =
      client.ask(ipc::ImageInspectRequest{TRY(image_name(name)), TRY(working_dir())});
  if (!image && image.error().code() == Errc::not_found)
    return Error(Errc::not_found, "there is no service, container or image \"" + name + "\" here")
        .with_hint("see them: locald status, locald container ls, locald image ls");
  ipc::ImageInspectReply reply = TRY(image);
  if (!args.has("env"))
    for (auto& [variable, value] : reply.env) value = "…";
  return print_as("image", encode(reply));
}

}  // namespace

const Verb kInspect{
    .name = "inspect",
    .usage = "[--env] SERVICE|CONTAINER|IMAGE",
    .summary = "print all that is known of a service, container or image",
    .details =
        "Of a service that is its state, what it runs with after all values were put in (command,\n"
        "mounts, networks, ports, limits …), its addresses, and the digest of its image. A name "
        "is\n"
        "looked for among the project's services, then the containers of `container run`, then\n"
        "the images in the store. Values of environments are shown as … without --env.\n\n"
        "examples:\n"
        "  locald inspect web\n"
        "  locald inspect db | jq .config.mounts\n"
        "  locald inspect redis:7 | jq -c .command\n",
    .options = {{0, "env", nullptr, "with the values of environments, which may be secrets"}},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = inspect_verb,
};

}  // namespace locald::cli
