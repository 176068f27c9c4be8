#include <unistd.h>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/build.h"

namespace locald::cli {
namespace {

Result<int> cache_ls(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(ipc::CacheListRequest{})));
  const auto reply = TRY(client.ask(ipc::CacheListRequest{}));
  std::vector<std::vector<std::string>> rows;
  for (const ipc::CachedApp& cache : reply.caches)
    rows.push_back({cache.app, human_bytes(cache.bytes), std::to_string(cache.generations),
                    cache.in_use ? "yes" : "no", cache.last_used.value_or("").substr(0, 10),
                    cache.path.value_or("")});
  return out(table({"APP", "SIZE", "BUILDS", "IN USE", "LAST USED", "FOLDER"}, rows)) ? 0 : 1;
}

Result<int> cache_rm(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(ipc::CacheRemoveRequest{args.arguments()}));
  return out(join(reply.removed, "\n") + "\n") ? 0 : 1;
}

Result<int> cache_prune(Context& context, const Args& args) {
  constexpr std::int64_t kMonth = 30LL * 24 * 3600 * 1000;
  std::int64_t unused = kMonth;
  if (const auto given = args.value("unused")) {
    const auto ms = parse_duration_ms("--unused", *given);
    if (!ms) return usage_error(ms.error().message());
    unused = *ms;
  }
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(ipc::CachePruneRequest{std::chrono::milliseconds(unused)}));
  std::string text;
  std::uint64_t bytes = 0;
  for (const ipc::CachedApp& cache : reply.removed) {
    text += cache.app + "\n";
    bytes += cache.bytes;
  }
  notice(human_bytes(bytes) + " freed");
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kCacheLs{
    .name = "cache ls",
    .usage = "[--json]",
    .summary = "list the builds and cached layers of buildpack apps",
    .details = "",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = cache_ls,
};
const Verb kCacheRm{
    .name = "cache rm",
    .usage = "APP…",
    .summary = "remove an app's builds and caches",
    .details =
        "APP is a name that `cache ls` shows. Its next build\n"
        "starts from scratch. Caches used by a container are not removed.\n",
    .options = {},
    .min_arguments = 1,
    .run = cache_rm,
};
const Verb kCachePrune{
    .name = "cache prune",
    .usage = "[--unused DURATION]",
    .summary = "remove the caches of deleted and of long unused apps",
    .details =
        "Caches of an app whose folder is deleted are removed at once; caches used by a\n"
        "container are kept.\n\n"
        "examples:\n"
        "  locald cache prune\n"
        "  locald cache prune --unused 0s      all that is not in use\n",
    .options = {{0, "unused", "DURATION", "instead of a month: 24h, 0s"}},
    .max_arguments = 0,
    .run = cache_prune,
};

}  // namespace locald::cli
