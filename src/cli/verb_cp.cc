#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/look.h"

namespace locald::cli {
namespace {

/// One of the two: SERVICE:PATH, or a path on the host.
struct CopyPlace {
  std::string service, path;
  bool in_service() const { return !service.empty(); }
};

/// "./a:b" and "/a:b" are paths.
CopyPlace copy_place(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == 0 || colon == std::string::npos || is_folder(text)) return {"", text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Result<int> cp_verb(Context& context, const Args& args) {
  const CopyPlace from = copy_place(args.argument(0)), to = copy_place(args.argument(1));
  if (from.in_service() == to.in_service())
    return usage_error(from.in_service() ? "cp: both are in services; one of them is on the host"
                                         : "cp: neither is in a service, as SERVICE:PATH",
                       "locald cp web:/var/log/app.log . or locald cp ./app.conf web:/etc/app/");
  if (from.path == "-" || to.path == "-")
    return usage_error("cp: - is not taken for a stream",
                       "locald exec -T SERVICE -- tar -c PATH > FILE");
  const CopyPlace& inside = from.in_service() ? from : to;
  const CopyPlace& outside = from.in_service() ? to : from;
  if (outside.path.empty()) return usage_error("cp: a path is missing");
  const std::string root = inside.path.starts_with('/') ? "" : "/";
  ipc::CopyRequest request{.project = TRY(context.project()),
                           .service = inside.service,
                           .inside = tidy_path(root + inside.path),
                           .outside = TRY(absolute_path(outside.path)),
                           .out = from.in_service(),
                           .contents = from.path == "." || from.path.ends_with("/."),
                           .into = to.path.ends_with('/') || to.path.ends_with("/.") ||
                                   to.path == "." || to.path == "..",
                           .follow_link = args.has("follow-link")};
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(request));
  if (reply.left_out != 0)
    notice(std::to_string(reply.left_out) +
           " left out: devices, sockets and named pipes are not copied");
  if (!args.has("quiet"))
    err(std::to_string(reply.entries) + (reply.entries == 1 ? " entry, " : " entries, ") +
        human_bytes(reply.bytes) + "\n");
  return 0;
}

}  // namespace

const Verb kCp{
    .name = "cp",
    .usage = "[-L] [-q] SERVICE:SRC DEST | SRC SERVICE:DEST",
    .summary = "copy files between a container and the host",
    .details =
        "The service must be running in a container, whose paths begin at its root. A folder is\n"
        "copied with all below it: into DEST where that is a folder, else as DEST. SRC/. means\n"
        "what is in the folder. Files that are there are replaced, folders are added to. What\n"
        "comes into a container belongs to the user that its main process has at that time; what\n"
        "comes out belongs to you. Modes and times stay, but for setuid and setgid.\n\n"
        "examples:\n"
        "  locald cp db:/var/lib/postgresql/data/pg_hba.conf .\n"
        "  locald cp ./site/. web:/usr/share/nginx/html/\n",
    .options = {{'L', "follow-link", nullptr,
                 "where SRC is a symbolic link, what it points to; else the link itself"},
                {'q', "quiet", nullptr, "do not say how much was copied"}},
    .min_arguments = 2,
    .max_arguments = 2,
    .run = cp_verb,
};

}  // namespace locald::cli
