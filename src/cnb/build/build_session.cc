#include "cnb/build/build_session.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/units.h"
#include "builder/image_source.h"
#include "cnb/build/housekeeping.h"
#include "cnb/inputs/platform_dir.h"
#include "oci/layer/layer_store.h"
#include "oci/ref/digest.h"
#include "runtime/processes.h"

namespace locald::cnb {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStageTries = 5;

/// What may pass a company's proxy; nothing else of the user's environment enters a phase.
std::map<std::string, std::string> phase_environment(const BuildInputs& inputs) {
  std::map<std::string, std::string> env = {{"CNB_PLATFORM_API", inputs.info.platform_api.str()},
                                            {"CNB_EXPERIMENTAL_MODE", "warn"},  // of -layout
                                            {"CNB_NO_COLOR", "true"},
                                            // No cloud's login helper is to be run, or waited for.
                                            {"CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON", "true"},
                                            {"CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AZURE", "true"}};
  if (!inputs.app.exec_env.empty()) env["CNB_EXEC_ENV"] = inputs.app.exec_env;
  env.insert(inputs.app.proxies.begin(), inputs.app.proxies.end());
  return env;
}

}  // namespace

BuildSession::BuildSession(builder::Environment& environment, const AppStore& store,
                           const BuildInputs& inputs, const builder::PrepareContext& context,
                           std::uint64_t number)
    : environment_(environment),
      store_(store),
      inputs_(inputs),
      context_(context),
      number_(number),
      log_dir_(environment.paths().builds(store.app()) + "/" + std::to_string(number)),
      deadline_(started_ + inputs.app.timeout),
      log_([this](const std::string& buildpack) { tell("build", buildpack); }) {}

void BuildSession::tell(const std::string& phase, const std::string& item) {
  doing_ = phase;
  if (context_.progress) context_.progress({.phase = phase, .item = item});
}

void BuildSession::note_time(const std::string& name, Clock::time_point since) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since);
  times_.phases.emplace_back(name, ms.count());
}

Result<JobApp> BuildSession::job_app() const {
  const bool single = TRY(environment_.host()).id_map == runtime::IdMapKind::single;
  return JobApp{.top = store_.dir(),
                .uid = single ? 0 : inputs_.info.uid,
                .gid = single ? 0 : inputs_.info.gid};
}

Result<void> BuildSession::begin(SourceIndex& source, Extra extra) {
  const auto since = Clock::now();
  tell("stage");
  TRY(remove_tree(log_dir_));
  TRY(make_dirs(log_dir_));
  if (!store_.spares_count()) TRY(discard(environment_, store_.spare()));
  TRY(make_dirs(store_.spare()));
  TRY(store_.mark_spares(Durability::renamed));
  TRY(make_dirs(store_.build()));
  TRY(source.save(store_.build_index()));
  TRY(write_platform_dir(folder("platform"), inputs_.env, inputs_.bindings));
  BeginJob job{.app = TRY(job_app()),
               .make = {.folders = {"build/layers", "build/tmp"}},
               .staging = {.source = inputs_.app.path,
                           .want = "build/source.index",
                           .have = "spare/workspace.index",
                           .spare = "spare/workspace"},
               .workspace = "build/workspace",
               .previous = extra.previous_image};
  for (std::string& path : extra.folders) job.make.folders.push_back(std::move(path));
  for (auto& [path, text] : extra.files) job.make.files.push_back({path, std::move(text)});
  const Json begin = encode(job);
  for (int tries = 1;; ++tries) {
    const JudgedPath from = TRY(open_source(environment_, inputs_.app));
    const auto staged = TRY(
        decode<StagingResult>(TRY(environment_.run(begin, {}, context_.stop, {}, from.fd.get()))));
    const std::vector<std::string>& changed = staged.changed;
    if (changed.empty()) break;
    if (tries == kStageTries)
      return Error(Errc::failed, "the source keeps changing while it is copied: " + changed[0])
          .with_hint(
              "stop the program that writes there, or leave the file out with `exclude` in "
              "project.toml");
    source = TRY(scan_source(from, inputs_.filter, &source, context_.stop));
    TRY(source.save(store_.build_index()));
  }
  note_time("stage", since);
  return make_runner();
}

Result<void> BuildSession::make_runner() {
  std::vector<builder::VolumeMount> mounts;
  const auto mount = [&](const std::string& source, const char* target, bool read_only = false) {
    mounts.push_back({.kind = builder::VolumeMount::Kind::own,
                      .source = source,
                      .target = target,
                      .read_only = read_only});
  };
  mount(folder("workspace"), "/workspace");
  mount(folder("layers"), "/layers");
  mount(folder("platform"), "/platform", /*read_only=*/true);
  mount(folder("tmp"), "/tmp");
  std::vector<std::string> lowers = inputs_.extra_lowers;
  const std::vector<std::string> builder =
      TRY(builder::image_lowers(environment_, inputs_.builder.diff_ids));
  lowers.insert(lowers.end(), builder.begin(), builder.end());
  // Facts belong to one stack of folders.
  const std::string stack =
      inputs_.extra_lowers.empty()
          ? inputs_.builder.manifest_digest.hex()
          : oci::Digest::of(inputs_.builder.manifest_digest.str() + join(inputs_.extra_lowers, ":"))
                .hex();
  const std::string facts = environment_.paths().facts() + "/" + stack;
  runner_.emplace(PhaseRunner::Options{.environment = environment_,
                                       .app = store_.app(),
                                       .lowers = std::move(lowers),
                                       .lower_base = TRY(environment_.layers())->dir(),
                                       .image = inputs_.builder.config,
                                       .facts_file = facts,
                                       .uid = inputs_.info.uid,
                                       .gid = inputs_.info.gid,
                                       .env = phase_environment(inputs_),
                                       .mounts = std::move(mounts),
                                       .log_dir = log_dir_,
                                       .stop = context_.stop,
                                       .deadline = deadline_,
                                       .limit = inputs_.app.timeout});
  return {};
}

Result<void> BuildSession::run(Phase phase, const std::vector<std::string>& arguments,
                               const std::vector<builder::VolumeMount>& mounts) {
  failed_ = phase;
  log_.begin(phase);
  tell(std::string(to_string(phase)));
  auto took = runner_->run(phase, arguments, mounts,
                           [this](const PhaseLine& line) { log_.line(line.time_ns, line.text); });
  if (!took) return std::move(took).error();
  failed_.reset();
  times_.phases.emplace_back(std::string(to_string(phase)), took->count());
  return {};
}

Result<std::vector<std::string>> BuildSession::hidden_by_live() const {
  if (inputs_.app.live.empty()) return std::vector<std::string>();
  const WrittenJob job{.app = {.top = store_.dir()},
                       .workspace = "build/workspace",
                       .want = "build/source.index",
                       .folders = inputs_.app.live};
  return TRY(decode<WrittenResult>(TRY(environment_.run(encode(job), {}, context_.stop)))).paths;
}

Generation BuildSession::new_generation() const {
  Generation g;
  g.number = number_;
  g.built_at = now_text();
  g.boot_id = runtime::boot_id();
  g.builder = inputs_.builder_name;
  g.builder_digest = inputs_.builder.manifest_digest.str();
  g.run_image = inputs_.run_names.image;
  g.run_image_digest = inputs_.run.manifest_digest.str();
  g.run_mirrors = inputs_.run_names.mirrors;
  g.platform_api = inputs_.info.platform_api.str();
  g.lifecycle_version = inputs_.info.lifecycle_version;
  g.uid = inputs_.info.uid;
  g.gid = inputs_.info.gid;
  g.exec_env = inputs_.app.exec_env;
  g.project = inputs_.project;
  g.parts = inputs_.parts;
  return g;
}

BuildTimes BuildSession::times() const {
  BuildTimes times = times_;
  times.buildpacks = log_.buildpacks();
  times.total =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_).count();
  return times;
}

Json BuildSession::failure() const {
  const int code = failed_ && runner_ ? runner_->last_code() : -1;
  const std::string& buildpack = log_.at_work();
  return Json::object(
      {{"phase", failed_ ? Json(to_string(*failed_)) : Json(doing_)},
       {"exit_code", code < 0 ? Json() : Json(code)},
       {"buildpack", failed_ == Phase::build && !buildpack.empty() ? Json(buildpack) : Json()},
       {"detect", log_.detected_json()},
       {"tail", failed_ ? Json(log_.tail()) : Json::array()},
       {"log", log_dir_}});
}

std::string BuildSession::failure_text() const {
  if (!failed_) return {};
  if (failed_ == Phase::detect && !log_.detected().empty()) return log_.detect_table();
  std::string text;
  if (!log_.at_work().empty() && !log_.tail().empty())
    text = "the last words of " + log_.at_work() + ":";
  for (const std::string& line : log_.tail()) text += (text.empty() ? "" : "\n") + ("  " + line);
  return text;
}

}  // namespace locald::cnb
