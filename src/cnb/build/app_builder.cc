#include "cnb/build/app_builder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/limit.h"
#include "base/loop/job_pool.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "builder/storage.h"
#include "cnb/build/build_inputs.h"
#include "cnb/build/build_session.h"
#include "cnb/build/housekeeping.h"
#include "cnb/build/hybrid_build.h"
#include "cnb/build/strict_build.h"
#include "cnb/runnable.h"
#include "cnb/source/source_index.h"
#include "cnb/store/app_lock.h"
#include "cnb/store/app_store.h"
#include "oci/ref/digest.h"

namespace locald::cnb {
namespace {

/// "a and 3 more"; "" for none.
std::string some_of(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  return names[0] + (names.size() > 1 ? " and " + std::to_string(names.size() - 1) + " more" : "");
}

/// What differs between two scans, for people: "src/a.js and 3 more changed".
std::string difference(const SourceIndex& before, const SourceIndex& now,
                       const std::vector<std::string>& live) {
  std::map<std::string_view, const SourceEntry*> old;
  for (const SourceEntry& entry : before.entries) old.emplace(entry.path, &entry);
  std::vector<std::string> changed;
  for (const SourceEntry& entry : now.entries) {
    const auto found = old.find(entry.path);
    if (found == old.end() || !found->second->same_content(entry)) changed.push_back(entry.path);
    if (found != old.end()) old.erase(found);
  }
  for (const auto& [path, entry] : old) changed.emplace_back(path);
  std::erase_if(changed, [&](const std::string& path) {
    return std::any_of(live.begin(), live.end(), [&](const std::string& folder) {
      return path == folder || path.starts_with(folder + "/");
    });
  });
  return changed.empty() ? std::string() : some_of(changed) + " changed";
}

/// The same of what else a build depends on: "the buildpack ./bp changed".
std::string difference(const std::map<std::string, std::string>& before,
                       const std::map<std::string, std::string>& now) {
  std::vector<std::string> changed;
  for (const auto& [name, content] : now) {
    const auto found = before.find(name);
    if (found == before.end() || found->second != content) changed.push_back(name);
  }
  for (const auto& [name, content] : before)
    if (!now.contains(name)) changed.push_back(name);
  return changed.empty() ? std::string("its settings changed") : some_of(changed) + " changed";
}

std::string seconds(std::int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f s", static_cast<double>(ms) / 1000);
  return text;
}

/// "in 1.20 s, src/a.js changed (detect 0.08 s, acme/node@1.2 0.90 s, commit 0.02 s)".
std::string in_words(const BuildTimes& times, const std::string& reason) {
  std::vector<std::string> parts;
  for (const auto& [name, ms] : times.phases) {
    if (name != to_string(Phase::build)) {
      parts.push_back(name + " " + seconds(ms));
      continue;
    }
    for (const auto& [buildpack, own] : times.buildpacks)
      parts.push_back(buildpack + " " + seconds(own));
  }
  return "in " + seconds(times.total) + ", " + reason +
         (parts.empty() ? "" : " (" + join(parts, ", ") + ")");
}

class BuildDecision {
 public:
  BuildDecision(builder::Environment& environment, const AppSpec& app,
                const builder::PrepareContext& context, bool again, BuildFailure* failure)
      : environment_(environment),
        context_(context),
        again_(again),
        failure_(failure),
        app_(app),
        store_(environment.paths(), app.key()) {}

  Result<BuildResult> run() {
    TRY(check_place());
    map_id_ = TRY(environment_.map_id());
    inputs_ = TRY(resolve_inputs(environment_, app_, context_));
    TRY(mend_folder());
    TRY(store_.touch(app_));
    TRY(scan());
    if (auto present = reusable_generation()) return std::move(*present);
    // Starts of what needs no build need not wait for this one.
    const JobPool::UncountedScope uncounted;
    const AppLock lock = TRY(AppLock::take(environment_, store_.app(), context_.stop,
                                           [this] { tell_waiting("another build"); }));
    if (auto present = reusable_generation()) return std::move(*present);
    if (auto rebased = rebase()) return std::move(*rebased);
    const Limit::Place place = TRY(environment_.builds().take(
        context_.stop, [this] { tell_waiting("builds of other apps"); }));
    return build();
  }

 private:
  void tell_waiting(const std::string& what) const {
    if (context_.progress) context_.progress({.phase = "wait", .item = what});
  }

  Result<void> check_place() const {
    const JudgedPath source = TRY(open_source(environment_, app_));
    for (const std::string& folder : app_.live) {
      const auto live = open_in_root(source.fd.get(), folder, O_PATH | O_DIRECTORY | O_NOFOLLOW);
      if (!live)
        return Error(Errc::not_found,
                     "`sync`: " + app_.path + "/" + folder + " is not a folder, or no longer there")
            .with_hint("create that folder, or leave it out of `sync`");
    }
    return {};
  }

  /// Removes what another program (a repair of the disk) put where our files and folders belong:
  /// without this no build could ever succeed again.
  Result<void> mend_folder() const {
    bool mended = false;
    const auto mend = [&](const std::string& path, mode_t kind) -> Result<void> {
      struct stat st {};
      if (::lstat(path.c_str(), &st) != 0 || (st.st_mode & S_IFMT) == kind) return {};
      mended = true;
      return discard(environment_, path);
    };
    TRY(mend(store_.dir(), S_IFDIR));
    for (const std::string& folder : {store_.generations_folder(), store_.trees(), store_.spare(),
                                      store_.spare_trees(), store_.strict()})
      TRY(mend(folder, S_IFDIR));
    for (const std::string& file : {store_.record_file(), store_.source_index(), store_.failed(),
                                    store_.packed(), store_.spare_boot(), store_.spare_index()})
      TRY(mend(file, S_IFREG));
    if (mended)
      environment_.in_background("clean up " + store_.app(),
                                 [&environment = environment_](const std::stop_token& stop) {
                                   (void)builder::sweep_discarded(environment, stop);
                                 });
    return {};
  }

  Result<void> scan() {
    const auto mutex = environment_.lock_for("cnb-scan/" + store_.app());
    const std::lock_guard lock(*mutex);
    known_ = SourceIndex::load(store_.source_index());
    source_ = TRY(scan_source(TRY(open_source(environment_, app_)), inputs_->filter,
                              known_ ? &*known_ : nullptr, context_.stop));
    if (!known_ || !source_.as_known) TRY(source_.save(store_.source_index()));
    set_fingerprint();
    return {};
  }

  void set_fingerprint() {
    fingerprint_ = oci::Digest::of(inputs_->fingerprint + source_.digest(app_.live).str()).hex();
  }

  BuildResult result(Generation generation, bool built) const {
    std::vector<std::string> notices = inputs_->notices;
    if (const std::string& hidden = some_of(generation.hidden); !hidden.empty())
      notices.push_back(
          "buildpacks wrote " + hidden +
          ", which the live source hides: leave that folder out of `sync`, or have it "
          "written elsewhere");
    if (const std::string& left = some_of(source_.skipped); built && !left.empty())
      notices.push_back(left + " was not sent to the build: no file, folder or symlink");
    return {std::move(generation), built, built ? reason_ : "", std::move(notices)};
  }

  /// The newest generation, if it is what a build would make.
  std::optional<BuildResult> reusable_generation() {
    const auto newest = store_.current(map_id_);
    if (!newest || again_ || newest->fingerprint != fingerprint_ ||
        newest->run_image_digest != inputs_->run.manifest_digest.str() ||
        (app_.strict && !newest->strict()))
      return std::nullopt;
    if (const auto whole = runnable(environment_, store_, *newest); !whole) {
      broken_ = whole.error().message();
      return std::nullopt;
    }
    return result(*newest, false);
  }

  /// Nothing but the run image has changed, and it may be exchanged: CNB platform.md#rebaser.
  std::optional<Result<BuildResult>> rebase() {
    const auto newest = store_.newest_hybrid(map_id_);
    if (!newest || again_ || app_.strict || newest->fingerprint != fingerprint_ ||
        newest->run_image_digest == inputs_->run.manifest_digest.str())
      return std::nullopt;
    auto rebased = rebase_generation(environment_, store_, *inputs_, *newest, context_);
    if (!rebased) return std::nullopt;  // so it is built
    reason_ = "the run image changed";
    return finish(std::move(*rebased));
  }

  Result<BuildResult> build() {
    reason_ = build_reason();
    TRY(discard(environment_, store_.build()));
    BuildSession session(environment_, store_, *inputs_, context_, store_.next_number());
    auto made = app_.strict ? strict_build(session, source_) : hybrid_build(session, source_);
    if (!made) {
      if (failure_ != nullptr) failure_->details = session.failure();
      give_up();
      return explain(session, std::move(made).error());
    }
    set_fingerprint();  // of what was copied in the end
    made->times = session.times();
    auto finished = finish(std::move(*made));
    if (!finished) {
      if (failure_ != nullptr) failure_->details = session.failure();
      give_up();
    }
    return finished;
  }

  std::string build_reason() const {
    const auto newest = store_.current(map_id_);
    if (!newest) return "first build";
    if (again_) return "asked for";
    if (!broken_.empty()) return broken_;
    if (known_)
      if (std::string files = difference(*known_, source_, app_.live); !files.empty()) return files;
    if (read_file(store_.failed()).value_or("") == fingerprint_) return "the build before failed";
    return newest->fingerprint == fingerprint_ ? "asked for another way"
                                               : difference(newest->parts, inputs_->parts);
  }

  void give_up() {
    (void)discard(environment_, store_.build());
    (void)write_file_atomic(store_.failed(), fingerprint_);
    schedule_housekeeping(std::nullopt);
  }

  Result<BuildResult> finish(Generation generation) {
    TRY(check_lowers(environment_, TRY(runnable(environment_, store_, generation)), context_.stop));
    generation.fingerprint = fingerprint_;
    generation.map_id = map_id_;
    if (context_.progress)
      context_.progress({.phase = "built", .item = in_words(generation.times, reason_)});
    TRY(make_dirs(store_.generation(generation.number)));
    TRY(store_.commit(generation));
    (void)::unlink(store_.failed().c_str());
    (void)discard(environment_, store_.build());
    schedule_housekeeping(generation.number);
    return result(std::move(generation), true);
  }

  void schedule_housekeeping(std::optional<std::uint64_t> number) {
    environment_.in_background("after the build of " + store_.app(),
                               [&environment = environment_, store = store_, inputs = *inputs_,
                                source = source_, number](const std::stop_token& stop) {
                                 after_build(environment, store, inputs, source, number, stop);
                               });
  }

  static Error explain(const BuildSession& session, Error error) {
    const std::string text = session.failure_text();
    if (error.code() == Errc::cancelled || text.empty()) return error;
    return Error(error.code(), error.message() + "\n" + text)
        .with_hint((error.hint().empty() ? "" : error.hint() + "; ") +
                   "all that was written: locald logs --build" +
                   (session.inputs().app.project.empty() ? " " + session.inputs().app.path : ""));
  }

  builder::Environment& environment_;
  const builder::PrepareContext& context_;
  bool again_;
  BuildFailure* failure_;
  const AppSpec& app_;
  AppStore store_;
  std::optional<BuildInputs> inputs_;
  std::optional<SourceIndex> known_;  // the scan before
  SourceIndex source_;
  std::string map_id_, fingerprint_, reason_;
  std::string broken_;  // what is wrong with the newest generation
};

}  // namespace

Result<BuildResult> ensure_built(builder::Environment& environment, const AppSpec& app,
                                 const builder::PrepareContext& context, bool again,
                                 BuildFailure* failure) {
  auto built =
      BuildDecision(environment, app, context, again, failure).run().context("build " + app.path);
  if (!built && built.error().code() == Errc::no_space)
    return std::move(built).error().with_hint(
        "make room: `locald cache ls` and `locald cache rm` for what apps keep, `locald image ls` "
        "and `locald image rm` for images");
  return built;
}

Result<Generation> last_generation(builder::Environment& environment, const AppSpec& app) {
  const AppStore store(environment.paths(), app.key());
  auto newest = store.current(TRY(environment.map_id()));
  if (!newest || !runnable(environment, store, *newest))
    return Error(Errc::not_found, app.path + " has not been built")
        .with_hint("build it: locald build");
  return std::move(*newest);
}

}  // namespace locald::cnb
