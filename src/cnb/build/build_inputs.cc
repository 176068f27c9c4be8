#include "cnb/build/build_inputs.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/json/json_map.h"
#include "base/strings.h"
#include "builder/image_source.h"
#include "cnb/build/project_file.h"
#include "cnb/buildpacks/added_buildpacks.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "oci/ref/digest.h"
#include "oci/spec/platform.h"

namespace locald::cnb {
namespace {

/// Changes with anything that makes the same inputs give another result.
constexpr int kRecipe = 2;

class Resolver {
 public:
  Resolver(builder::Environment& environment, const AppSpec& app,
           const builder::PrepareContext& context)
      : environment_(environment), context_(context), app_(app) {}

  Result<BuildInputs> run() {
    project_ = TRY(read_project_file(TRY(open_source(environment_, app_))));
    const auto builder = TRY(reference_of_builder());
    auto pulled = pull(builder);
    if (!pulled && pulled.error().code() == Errc::not_found && pulled.error().hint().empty())
      return std::move(pulled).error().with_context("builder").with_hint(
          "is the name right? It is looked for below the folder that names it");
    oci::StoredImage builder_image = TRY(std::move(pulled).context("builder"));
    const BuilderInfo info = TRY(BuilderInfo::from_image(builder.familiar(), builder_image.config));
    auto [run_names, run_image] = TRY(find_run_image(info, builder));
    BuildInputs inputs{.app = app_,
                       .builder_name = builder.familiar(),
                       .builder = std::move(builder_image),
                       .info = info,
                       .run_names = std::move(run_names),
                       .run = std::move(run_image)};
    TRY(find_settings(inputs));
    note_parts(inputs);
    if (project_) TRY(apply_project(inputs));
    inputs.notices = std::move(notices_);
    inputs.fingerprint = fingerprint(inputs);
    return inputs;
  }

 private:
  Result<oci::StoredImage> pull(const oci::ImageReference& reference) {
    builder::PulledImage pulled = TRY(builder::pull_image(
        environment_, reference, TRY(oci::parse_pull_policy(app_.pull)), context_));
    notices_.insert(notices_.end(), pulled.notices.begin(), pulled.notices.end());
    if (oci::platform_score(pulled.image.config.platform, oci::Platform::host()) == 0)
      return Error(Errc::unsupported, reference.familiar() + " is for " +
                                          pulled.image.config.platform.str() + ", this host is " +
                                          oci::Platform::host().str())
          .with_hint("take an image for this platform");
    return std::move(pulled.image);
  }

  Result<oci::ImageReference> reference_of_builder() const {
    if (!app_.builder.empty())
      return oci::ImageReference::parse(app_.builder, app_.base_dir).context("builder");
    if (project_ && !project_->descriptor.builder.empty())
      return oci::ImageReference::parse(project_->descriptor.builder.text, app_.path)
          .context(project_->file);
    return Error(Errc::invalid_input, "no builder is named")
        .with_hint(
            "name one: builder = \"paketobuildpacks/builder-jammy-base\" in the service, or in "
            "project.toml");
  }

  /// The first that is to be had, and what the app's image shall say that it stands on.
  Result<std::pair<RunImage, oci::StoredImage>> find_run_image(const BuilderInfo& info,
                                                               const oci::ImageReference& builder) {
    const auto names = TRY(run_image_candidates(info, builder, app_.run_image));
    std::string tried;
    for (const std::string& name : names) {
      const auto reference =
          TRY(oci::ImageReference::parse(name, app_.base_dir).context("run image"));
      auto image = pull(reference);
      if (image)
        return std::pair(
            app_.run_image.empty() ? info.run_images.front() : RunImage{reference.familiar(), {}},
            std::move(*image));
      if (image.error().code() == Errc::cancelled) return std::move(image).error();
      if (names.size() == 1) {
        const Error& error = image.error();
        return Error(error.code(), "run image: " + error.message())
            .with_hint((error.hint().empty() ? "" : error.hint() + "; ") +
                       "another one can be named: run_image = \"…\"");
      }
      tried += "\n  " + image.error().message();
    }
    return Error(Errc::not_found,
                 "run image: none of those that the builder names could be fetched:" + tried)
        .with_hint("another one can be named: run_image = \"…\"");
  }

  Result<void> find_settings(BuildInputs& inputs) {
    inputs.env = build_environment(project_ ? project_->descriptor : ProjectDescriptor(),
                                   app_.exec_env, app_.env);
    const PathJudge judge = environment_.judge();
    for (const auto& [name, folder] : app_.bindings)
      inputs.bindings.push_back(TRY(read_binding(name, folder, judge)));
    bindings_of_user_ = inputs.bindings.size();
    if (auto host = TRY(host_ca_binding(app_))) inputs.bindings.push_back(std::move(*host));
    return {};
  }

  Result<void> apply_project(BuildInputs& inputs) {
    const ProjectDescriptor& project = project_->descriptor;
    for (const TextProblem& warning : project.warnings) notices_.push_back(describe({warning}));
    inputs.filter = source_filter(project);
    if (auto source = project.source()) {
      inputs.project = std::move(*source);
      inputs.parts["the project's version"] = digest_of(inputs.project);
    }
    const AddedBuildpacks added =
        TRY(add_buildpacks(environment_, project, project_->file,
                           {app_, inputs.builder_name, inputs.builder, inputs.info}, context_));
    inputs.order_toml = order_toml(added.order);
    inputs.extra_lowers = added.lowers;
    for (const auto& [name, content] : added.contents) inputs.parts[name] += content;
    if (!inputs.order_toml.empty())
      inputs.parts["the order of the buildpacks"] = oci::Digest::of(inputs.order_toml).hex();
    notices_.insert(notices_.end(), added.notices.begin(), added.notices.end());
    return {};
  }

  static std::string digest_of(const Json& json) { return oci::Digest::of(json.dump()).hex(); }

  void note_parts(BuildInputs& inputs) const {
    const Json env = json_of(inputs.env);
    Json bindings = Json::object();
    // Certificates of the host decide whether a build can download, not what it makes.
    for (std::size_t i = 0; i < bindings_of_user_; ++i) {
      bindings.set(inputs.bindings[i].name, json_of(inputs.bindings[i].files));
    }
    // Digests: values may be secrets, and the parts are kept.
    inputs.parts = {{"the builder", inputs.builder.manifest_digest.str()},
                    {"the platform API", inputs.info.platform_api.str()},
                    {"the variables for buildpacks", digest_of(env)},
                    {"the bindings", digest_of(bindings)},
                    {"the execution environment", app_.exec_env}};
  }

  static std::string fingerprint(const BuildInputs& inputs) {
    // Of two that are alike the one on top is used, so the order of the folders counts.
    Json all = Json::object({{"recipe", kRecipe}, {"lowers", inputs.extra_lowers}});
    for (const auto& [name, content] : inputs.parts) all.set(name, content);
    return digest_of(all);
  }

  builder::Environment& environment_;
  const builder::PrepareContext& context_;
  const AppSpec& app_;
  std::optional<ProjectFile> project_;
  std::vector<std::string> notices_;
  std::size_t bindings_of_user_ = 0;
};

}  // namespace

Result<JudgedPath> open_source(const builder::Environment& environment, const AppSpec& app) {
  return open_source(environment.judge(), app);
}

Result<JudgedPath> open_source(const PathJudge& judge, const AppSpec& app) {
  auto opened = judge.open(app.path, PathJudge::Use::share);
  if (!opened) {
    const bool gone = opened.error().code() == Errc::not_found;
    Error error = std::move(opened).error().with_context("the app's folder");
    return gone ? std::move(error).with_hint("correct `path`") : std::move(error);
  }
  if (!opened->is_folder())
    return Error(Errc::invalid_input, app.path + " is not a folder")
        .with_hint("`path` names the folder of the app's source");
  return opened;
}

Result<BuildInputs> resolve_inputs(builder::Environment& environment, const AppSpec& app,
                                   const builder::PrepareContext& context) {
  return Resolver(environment, app, context).run();
}

}  // namespace locald::cnb
