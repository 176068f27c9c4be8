#include <unistd.h>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/build.h"

namespace locald::cli {
namespace {

Result<int> run_ls(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  const Json reply = TRY(client.call(ipc::CacheListRequest{}));
  if (args.has("json")) return out(reply.dump(/*pretty=*/true) + "\n") ? 0 : 1;
  std::vector<std::vector<std::string>> rows;
  for (const Json& cache : reply["caches"].as_array())
    rows.push_back(
        {cache["app"].as_string(), human_bytes(static_cast<std::uint64_t>(cache["bytes"].as_int())),
         std::to_string(cache["generations"].as_int()), cache["in_use"].as_bool() ? "yes" : "no",
         cache["last_used"].as_string().substr(0, 10), cache["path"].as_string()});
  return out(table({"APP", "SIZE", "BUILDS", "IN USE", "LAST USED", "FOLDER"}, rows)) ? 0 : 1;
}

Result<int> run_rm(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  const Json reply = TRY(client.call(ipc::CacheRemoveRequest{args.arguments()}));
  return out(join(reply["removed"].as_strings(), "\n") + "\n") ? 0 : 1;
}

Result<int> run_prune(Context& context, const Args& args) {
  constexpr std::int64_t kMonth = 30LL * 24 * 3600 * 1000;
  std::int64_t unused = kMonth;
  if (const auto given = args.value("unused")) {
    const auto ms = parse_duration_ms("--unused", *given);
    if (!ms) return usage_error(ms.error().message());
    unused = *ms;
  }
  auto client = TRY(context.connect());
  const Json reply = TRY(client.call(ipc::CachePruneRequest{std::chrono::milliseconds(unused)}));
  std::string text;
  std::uint64_t bytes = 0;
  for (const Json& cache : reply["removed"].as_array()) {
    text += cache["app"].as_string() + "\n";
    bytes += static_cast<std::uint64_t>(cache["bytes"].as_int());
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
    .run = run_ls,
};
const Verb kCacheRm{
    .name = "cache rm",
    .usage = "APP…",
    .summary = "remove an app's builds and caches; its next build starts from scratch",
    .details = "APP is a name that `cache ls` shows. Caches used by a container are not removed.\n",
    .options = {},
    .min_arguments = 1,
    .run = run_rm,
};
const Verb kCachePrune{
    .name = "cache prune",
    .usage = "[--unused DURATION]",
    .summary = "remove the caches of deleted apps, and of apps unused for a month",
    .details =
        "Caches of an app whose folder is deleted are removed at once; caches used by a\n"
        "container are kept.\n\n"
        "examples:\n"
        "  locald cache prune\n"
        "  locald cache prune --unused 0s      all that is not in use\n",
    .options = {{0, "unused", "DURATION", "instead of a month: 24h, 0s"}},
    .max_arguments = 0,
    .run = run_prune,
};

}  // namespace locald::cli
