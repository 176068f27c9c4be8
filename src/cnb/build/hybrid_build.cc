#include "cnb/build/hybrid_build.h"

#include <string>
#include <utility>
#include <vector>

#include "builder/image_source.h"
#include "cnb/build/commit_job.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "cnb/runnable.h"

namespace locald::cnb {
namespace {

using Clock = std::chrono::steady_clock;

/// A job on the app's folder.
Json job_for(const BuildSession& session, const char* op) {
  return Json::object({{"op", op},
                       {"top", session.store().dir()},
                       {"uid", session.disk_id(session.inputs().info.uid).value_or(0)},
                       {"gid", session.disk_id(session.inputs().info.gid).value_or(0)}});
}

}  // namespace

Result<Generation> hybrid_build(BuildSession& session, SourceIndex& source) {
  const BuildInputs& inputs = session.inputs();
  builder::Environment& environment = session.environment();
  const builder::PrepareContext& context = session.context();

  BuildSession::Extra extra;
  extra.files["build/layers/run.toml"] = run_toml({inputs.run_names});
  extra.files["build/layers/analyzed.toml"] =
      analyzed_toml(inputs.run_names.image, inputs.run.config);
  if (!inputs.order_toml.empty()) extra.files["build/layers/order.toml"] = inputs.order_toml;
  TRY(session.begin(source, std::move(extra)));

  const std::vector<std::string> common = {"-log-level", "debug",   "-app",      "/workspace",
                                           "-layers",    "/layers", "-platform", "/platform"};
  std::vector<std::string> detect = common;
  detect.insert(detect.end(), {"-run", "/layers/run.toml"});
  TRY(session.run(Phase::detect, detect));

  auto since = Clock::now();
  session.tell("restore");
  const auto before = session.store().newest_hybrid(TRY(environment.map_id()));
  Json restore = job_for(session, "cnb_restore");
  restore.set("before", before ? before->to_json() : Json());
  const Json restored =
      TRY(environment.run(std::move(restore), {}, context.stop).context("restore"));
  session.note_time("restore", since);

  TRY(session.run(Phase::build, common));
  std::vector<std::string> hidden = TRY(session.hidden_by_live());

  since = Clock::now();
  session.tell("commit");
  Generation g = session.new_generation();
  g.hidden = std::move(hidden);
  Json commit = job_for(session, "cnb_commit");
  commit.set("number", g.number);
  commit.set("before", before ? before->to_json() : Json());
  commit.set("restored", restored);
  commit.set("lowers", TRY(builder::image_lowers(environment, inputs.builder.diff_ids)));
  commit.set("lower_base", TRY(environment.layers())->dir());
  const Json committed =
      TRY(environment.run(std::move(commit), {}, context.stop).context("commit"));
  TRY(take_commit(committed, g));
  g.root = g.number;
  g.base_config = TRY(config_document(*TRY(environment.images()), inputs.run));
  session.note_time("commit", since);
  return g;
}

}  // namespace locald::cnb
