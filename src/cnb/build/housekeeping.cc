#include "cnb/build/housekeeping.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <utility>

#include "base/error_kind.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/image_source.h"
#include "builder/storage.h"
#include "cnb/build/phase_runner.h"
#include "cnb/buildpacks/buildpack_store.h"
#include "cnb/export/published_image.h"
#include "cnb/jobs.h"
#include "cnb/store/app_lock.h"
#include "oci/spec/image_config.h"

namespace locald::cnb {
namespace {

constexpr std::size_t kKeptLogs = 5;                    // builds whose log is kept
constexpr std::chrono::hours kKeptBuildpacks{24 * 30};  // that projects add, unused
constexpr std::size_t kKeptGenerations = 2;             // besides those that containers stand on

/// The numbers of the app's generations that containers, running or kept, stand on.
Result<std::set<std::uint64_t>> used_generations(const builder::Environment& environment,
                                                 const std::string& app) {
  std::set<std::uint64_t> used;
  for (const std::string& text : TRY(builder::container_stamps(environment.paths())))
    if (const auto stamp = GenerationStamp::parse(text); stamp && stamp->app == app)
      used.insert(stamp->number);
  return used;
}

/// An error where a record cannot be read at this moment: generations() lacks it then, and nothing
/// may be removed for that.
Result<void> check_readable(const AppStore& store) {
  const std::string folder = store.generations_folder();
  const auto dir = sys::open(folder, O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().code() == Errc::not_found) return {};
  if (!dir) return dir.error();
  return list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    const auto record = sys::open(folder + "/" + name + "/generation.json", O_RDONLY);
    return record || says_something(record.error()) ? Result<void>() : record.error();
  });
}

/// Generations, trees and spare copies that nobody will ask for.
Result<void> remove_old(builder::Environment& environment, const AppStore& store) {
  const auto mutex = environment.lock_for(builder::kInUse);
  const std::lock_guard lock(*mutex);
  const std::set<std::uint64_t> used = TRY(used_generations(environment, store.app()));
  TRY(check_readable(store));
  std::set<std::string> folders, trees, cached;
  std::size_t kept = 0;
  bool hybrid = false;
  for (const Generation& g : store.generations()) {
    const bool newest_hybrid = !g.strict() && !std::exchange(hybrid, hybrid || !g.strict());
    if (kept >= kKeptGenerations && !used.contains(g.number) && !newest_hybrid) continue;
    ++kept;
    folders.insert(std::to_string(g.number));
    if (g.root != 0) folders.insert(std::to_string(g.root));
    for (const GenerationBuildpack& b : g.buildpacks)
      for (const GenerationLayer& layer : b.layers) {
        trees.insert(layer.tree);
        if (newest_hybrid && layer.cache) cached.insert(layer.tree);
      }
  }
  // What a container stands on stays, and where its record is damaged nobody knows which trees
  // those are.
  bool all_known = true;
  for (const std::uint64_t number : used)
    all_known = !folders.insert(std::to_string(number)).second && all_known;
  for (const std::string& name : names_in(store.generations_folder()))
    if (!folders.contains(name)) TRY(discard(environment, store.generations_folder() + "/" + name));
  for (const std::string& name : names_in(store.trees()))
    if (all_known && !trees.contains(name)) TRY(discard(environment, store.tree(name)));
  for (const std::string& name : names_in(store.spare_trees()))
    if (!cached.contains(name)) TRY(discard(environment, store.spare_tree(name)));
  return {};
}

void remove_old_logs(const builder::Environment& environment, const AppStore& store) {
  const auto builds = logged_builds(environment.paths(), store.app());
  for (std::size_t i = kKeptLogs; i < builds.size(); ++i) (void)remove_tree(builds[i]);
}

/// The copies that the next build will take instead of making them.
Result<void> make_spares(builder::Environment& environment, const AppStore& store,
                         const BuildInputs& inputs, const std::stop_token& stop) {
  std::vector<std::string> trees;
  if (const auto newest = store.newest_hybrid(TRY(environment.map_id())))
    for (const GenerationBuildpack& b : newest->buildpacks)
      for (const GenerationLayer& layer : b.layers)
        if (layer.cache && !layer.tree.empty()) trees.push_back(layer.tree);
  const bool single = TRY(environment.host()).id_map == runtime::IdMapKind::single;
  TRY(make_dirs(store.spare()));
  TRY(make_dirs(store.trees()));
  const JudgedPath source = TRY(open_source(environment, inputs.app));
  const SpareJob job{.app = {.top = store.dir(),
                             .uid = single ? 0 : inputs.info.uid,
                             .gid = single ? 0 : inputs.info.gid},
                     .staging = {.source = inputs.app.path,
                                 .want = "source.index",
                                 .have = "spare/workspace.index",
                                 .spare = "spare/workspace"},
                     .trees = std::move(trees)};
  TRY(environment.run(encode(job), {}, stop, {}, source.fd.get()));
  return {};
}

Result<void> sync(const AppStore& store, std::uint64_t number) {
  const UniqueFd dir = TRY(sys::open(store.dir(), O_RDONLY | O_DIRECTORY));
  if (::syncfs(dir.get()) != 0) return Error::from_errno(errno, "syncfs");
  TRY(store.mark_synced(number));
  return store.mark_spares(Durability::synced);
}

/// What containers would stand on, where none does. @return false where one does.
Result<bool> discard_unused(builder::Environment& environment, const std::string& app) {
  const auto mutex = environment.lock_for(builder::kInUse);
  const std::lock_guard lock(*mutex);
  if (!TRY(used_generations(environment, app)).empty()) return false;
  TRY(discard(environment, AppStore(environment.paths(), app).dir()));
  return true;
}

/// All that an app has, its name in the image store too. With its lock held.
Result<void> discard_app(builder::Environment& environment, const std::string& app,
                         const std::stop_token& stop) {
  TRY(discard(environment, AppStore(environment.paths(), app).dir()));
  TRY(remove_tree(environment.paths().builds(app)));
  const std::string image = app_image_name(app);
  const auto untagged = builder::remove_image(environment, image, layers_in_use(environment), stop);
  // Absent, or a container that was started by that name stands on it.
  if (!untagged && untagged.error().code() != Errc::not_found &&
      untagged.error().code() != Errc::invalid_input)
    return untagged.error();
  return {};
}

/// Writable folders of phases' containers. With the app's lock held: then none is under way.
Result<void> discard_phases(builder::Environment& environment, const std::string& app) {
  for (const std::string& key : names_in(environment.paths().containers()))
    if (key.starts_with(phase_container_prefix(app)))
      TRY(builder::discard_container(environment, key));
  return {};
}

}  // namespace

Result<void> discard(const builder::Environment& environment, const std::string& path) {
  const std::string away = environment.paths().cnb() + "/.trash-" + random_hex(8);
  if (::rename(path.c_str(), away.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove " + path);
  return {};
}

std::vector<std::string> logged_builds(const Paths& paths, const std::string& app) {
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names_in(paths.builds(app)))
    if (const auto number = parse_u64(name)) numbers.push_back(*number);
  std::sort(numbers.rbegin(), numbers.rend());
  std::vector<std::string> folders;
  for (const std::uint64_t number : numbers)
    folders.push_back(paths.builds(app) + "/" + std::to_string(number));
  return folders;
}

void after_build(builder::Environment& environment, const AppStore& store,
                 const BuildInputs& inputs, const SourceIndex&, std::optional<std::uint64_t> number,
                 const std::stop_token& stop) {
  const auto lock = AppLock::take(environment, store.app(), stop);
  if (!lock || stop.stop_requested()) return;
  // Each by itself: what cannot be copied must not keep what is old from being removed.
  const auto report = [&](const Result<void>& done) {
    if (!done && !stop.stop_requested())
      std::fprintf(stderr, "after the build of %s: %s\n", store.app().c_str(),
                   done.error().text().c_str());
  };
  if (!inputs.app.strict) report(make_spares(environment, store, inputs, stop));
  if (number) report(sync(store, *number));
  report(remove_old(environment, store));
  remove_old_logs(environment, store);
  report(BuildpackStore(environment.paths()).prune(environment, kKeptBuildpacks));
  report(discard_phases(environment, store.app()));
  report(builder::sweep_discarded(environment, stop));
}

void after_crash(builder::Environment& environment, const std::stop_token& stop) {
  const auto work = [&]() -> Result<void> {
    for (const std::string& app : AppStore::list(environment.paths())) {
      const AppLock lock = TRY(AppLock::take(environment, app, stop));
      if (stop.stop_requested()) return {};
      const AppStore store(environment.paths(), app);
      TRY(discard(environment, store.build()));
      TRY(remove_old(environment, store));  // a generation that was not committed, its trees
      TRY(discard_phases(environment, app));
    }
    return builder::sweep_discarded(environment, stop);
  };
  if (const auto done = work(); !done && !stop.stop_requested())
    std::fprintf(stderr, "after earlier builds: %s\n", done.error().text().c_str());
}

Result<std::vector<CacheEntry>> list_caches(builder::Environment& environment,
                                            const std::stop_token& stop) {
  std::vector<CacheEntry> out;
  for (const std::string& app : AppStore::list(environment.paths())) {
    const AppStore store(environment.paths(), app);
    CacheEntry entry{.app = app, .record = store.record()};
    entry.generations = store.generations().size();
    entry.in_use = !TRY(used_generations(environment, app)).empty();
    const UsageJob job{.path = store.dir()};
    entry.bytes = TRY(decode<UsageResult>(TRY(environment.run(encode(job), {}, stop)))).bytes;
    out.push_back(std::move(entry));
  }
  return out;
}

Result<void> remove_cache(builder::Environment& environment, const std::string& app,
                          const std::stop_token& stop) {
  const AppLock lock = TRY(AppLock::take(environment, app, stop));
  const auto known = AppStore::list(environment.paths());
  if (std::find(known.begin(), known.end(), app) == known.end()) {
    Error error(Errc::not_found, "there is no app \"" + app + "\"");
    if (const auto near = did_you_mean(app, known))
      return std::move(error).with_hint("did you mean \"" + *near + "\"?");
    return std::move(error).with_hint("see them: locald cache ls");
  }
  if (!TRY(discard_unused(environment, app)))
    return Error(Errc::invalid_input, "the app " + app + " is used by a container")
        .with_hint("end what uses it first: locald down");
  TRY(discard_app(environment, app, stop));
  return builder::sweep_discarded(environment, stop);
}

Result<std::vector<CacheEntry>> prune_caches(builder::Environment& environment,
                                             std::chrono::milliseconds unused,
                                             const std::stop_token& stop) {
  std::vector<CacheEntry> removed;
  const auto latest = std::chrono::system_clock::now() - unused;
  for (CacheEntry& cache : TRY(list_caches(environment, stop))) {
    const AppStore store(environment.paths(), cache.app);
    const auto needed = [&](const std::optional<AppStore::Record>& record) {
      const auto used = used_generations(environment, cache.app);
      return !used || !used->empty() ||  // what cannot be looked at stays
             (record && time_of(record->last_used) > latest && exists(record->spec.path));
    };
    if (needed(cache.record)) continue;
    const std::uint64_t next = store.next_number();
    const AppLock lock = TRY(AppLock::take(environment, cache.app, stop));
    // It may have been asked for since it was listed; and what was just built is about to be run.
    if (!exists(store.dir()) || store.next_number() != next || needed(store.record())) continue;
    if (!TRY(discard_unused(environment, cache.app))) continue;
    TRY(discard_app(environment, cache.app, stop));
    removed.push_back(std::move(cache));
  }
  TRY(BuildpackStore(environment.paths()).prune(environment, unused));
  TRY(builder::sweep_discarded(environment, stop));
  return removed;
}

std::vector<oci::Digest> layers_in_use(const builder::Environment& environment) {
  std::vector<oci::Digest> out;
  for (const std::string& app : AppStore::list(environment.paths()))
    for (const Generation& g : AppStore(environment.paths(), app).generations())
      if (const auto config = oci::ImageConfig::parse(g.base_config.dump()))
        out.insert(out.end(), config->diff_ids.begin(), config->diff_ids.end());
  return out;
}

}  // namespace locald::cnb
