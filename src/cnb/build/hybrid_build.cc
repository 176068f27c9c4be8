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
  const RestoreJob restore{.app = TRY(session.job_app()),
                           .before = before ? before->to_json() : Json()};
  RestoreResult restored = TRY(decode<RestoreResult>(
      TRY(environment.run(encode(restore), {}, context.stop).context("restore"))));
  session.note_time("restore", since);

  TRY(session.run(Phase::build, common));
  std::vector<std::string> hidden = TRY(session.hidden_by_live());

  since = Clock::now();
  session.tell("commit");
  Generation g = session.new_generation();
  g.hidden = std::move(hidden);
  const CommitJob commit{.app = restore.app,
                         .number = g.number,
                         .before = restore.before,
                         .restored = std::move(restored),
                         .lowers = TRY(builder::image_lowers(environment, inputs.builder.diff_ids)),
                         .lower_base = TRY(environment.layers())->dir()};
  const Json committed = TRY(environment.run(encode(commit), {}, context.stop).context("commit"));
  TRY(take_commit(committed, g));
  g.root = g.number;
  g.base_config = TRY(config_document(*TRY(environment.images()), inputs.run));
  session.note_time("commit", since);
  return g;
}

}  // namespace locald::cnb
