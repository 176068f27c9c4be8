#include <unistd.h>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/build.h"
#include "ipc/messages/container.h"
#include "ipc/messages/store.h"

namespace locald::cli {
namespace {

constexpr std::int64_t kMonth = 30LL * 24 * 3600 * 1000;  // ms

Result<int> system_df(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(ipc::DiskRequest{})));
  const auto reply = TRY(client.ask(ipc::DiskRequest{}));
  std::vector<std::vector<std::string>> rows;
  std::uint64_t sum = 0;
  for (const ipc::DiskUse& use : reply.uses) {
    rows.push_back({use.kind, std::to_string(use.count), human_bytes(use.bytes),
                    use.free_count == 0 && use.free_bytes == 0
                        ? "-"
                        : human_bytes(use.free_bytes) + " of " + std::to_string(use.free_count),
                    use.command});
    sum += use.bytes;
  }
  rows.push_back({"all", "", human_bytes(sum), "", ""});
  std::string text;
  for (const std::string& line :
       split(table({"KIND", "COUNT", "SIZE", "NOT IN USE", "REMOVED BY"}, rows), '\n'))
    if (!line.empty()) text += cut_to(line, output_width()) + "\n";
  return out(text + "in " + reply.data + "\nand " + reply.state + "\n") ? 0 : 1;
}

/// Containers of `container run` that have ended.
Result<std::vector<std::string>> ended_containers(ipc::Client& client) {
  std::vector<std::string> out;
  for (const ipc::ContainerStatus& c : TRY(client.ask(ipc::ContainerListRequest{})).containers)
    if (c.state == "exited") out.push_back(c.id);
  return out;
}

Result<bool> is_wanted(const std::vector<std::string>& what) {
  for (const std::string& line : what) err("  " + line + "\n");
  err("Remove this? [y/N] ");
  std::string line;
  char c = 0;
  while (::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
  const std::string answer = to_lower(trim(line));
  return answer == "y" || answer == "yes";
}

Result<int> system_prune(Context& context, const Args& args) {
  const bool dry = args.has("dry-run"), all = args.has("all");
  if (!dry && !args.has("yes") && !is_terminal(STDIN_FILENO))
    return usage_error("system prune asks before it removes, and there is no terminal",
                       "locald system prune --yes removes, --dry-run says what it would");
  auto client = TRY(context.connect());
  const std::vector<std::string> ended = TRY(ended_containers(client));
  const auto images = TRY(client.ask(ipc::ImagePruneRequest{all, /*dry_run=*/true}));
  std::vector<std::string> what;
  for (const std::string& id : ended) what.push_back("container " + id + ", which has ended");
  for (const std::string& name : images.removed) what.push_back("image " + name);
  if (images.freed_bytes != 0)
    what.push_back(human_bytes(images.freed_bytes) +
                   " of blobs and layers that nothing needs then");
  what.emplace_back("builds of apps whose folder is gone, or that were not used for a month");
  if (dry) {
    std::string text;
    for (const std::string& line : what) text += line + "\n";
    return out(text) ? 0 : 1;
  }
  if (!args.has("yes") && !TRY(is_wanted(what))) return err("nothing was removed\n"), 1;
  std::string text;
  if (!ended.empty())
    for (const std::string& id : TRY(client.ask(ipc::ContainerRemoveRequest{.ids = ended})).removed)
      text += "container " + id + "\n";
  std::uint64_t freed = 0;
  for (const ipc::CachedApp& cache :
       TRY(client.ask(ipc::CachePruneRequest{std::chrono::milliseconds(kMonth)})).removed) {
    text += "build " + cache.app + "\n";
    freed += cache.bytes;
  }
  const auto pruned = TRY(client.ask(ipc::ImagePruneRequest{all, false}));
  for (const std::string& name : pruned.removed) text += "image " + name + "\n";
  notice(human_bytes(freed + pruned.freed_bytes) + " freed");
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kSystemDf{
    .name = "system df",
    .usage = "[--json]",
    .summary = "show what takes how much of the disk, and what removes it",
    .details =
        "images are the compressed blobs of the store, layers their unpacked files, which all\n"
        "containers share; containers is what they have written themselves. NOT IN USE is what\n"
        "the command beside it frees. Volumes and containers of mapped users count too.\n",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = system_df,
};
const Verb kSystemPrune{
    .name = "system prune",
    .usage = "[--all] [--dry-run] [--yes]",
    .summary = "remove what nothing needs: ended containers, builds, layers",
    .details =
        "Ended containers of `container run`, builds of apps that are deleted or were not used\n"
        "for a month, blobs and layers that no name leads to; with --all also unused images.\n"
        "Volumes are never removed by it: `locald down --volumes` does that for a project.\n\n"
        "examples:\n"
        "  locald system prune --dry-run\n"
        "  locald system prune --all --yes\n",
    .options = {{'a', "all", nullptr, "also images that nothing uses"},
                {0, "dry-run", nullptr, "print what would be removed, and remove nothing"},
                {'y', "yes", nullptr, "do not ask"}},
    .max_arguments = 0,
    .run = system_prune,
};

}  // namespace locald::cli
