#include "cnb/export/image_rebase.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "builder/image_source.h"
#include "cnb/export/app_image.h"
#include "cnb/export/published_image.h"
#include "cnb/inputs/builder_info.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "cnb/runnable.h"
#include "oci/spec/go_json.h"
#include "oci/spec/manifest.h"

namespace locald::cnb {
namespace {

using oci::GoObject;

constexpr const char* kLifecycle = "io.buildpacks.lifecycle.metadata";
constexpr const char* kStackId = "io.buildpacks.stack.id";
constexpr const char* kMixins = "io.buildpacks.stack.mixins";
constexpr ApiVersion kTargetsApi{0, 12};  // before it, stacks said what fits

/// Go reads every number of untyped JSON as a float64.
Json with_floats(const Json& value) {
  if (value.is_int()) return Json(static_cast<double>(value.as_int()));
  if (value.is_array()) {
    Json::Array items;
    for (const Json& item : value.as_array()) items.push_back(with_floats(item));
    return Json(std::move(items));
  }
  if (value.is_object()) {
    Json::Object members;
    for (const auto& [key, item] : value.as_object()) members.emplace_back(key, with_floats(item));
    return Json(std::move(members));
  }
  return value;
}

std::string list_or_null(const Json& items, std::string (*print)(const Json&)) {
  if (!items.is_array()) return "null";
  std::string out = "[";
  for (const Json& item : items.as_array()) out += (out.size() > 1 ? "," : "") + print(item);
  return out + "]";
}

std::string print_sha(const Json& value) {
  return std::move(GoObject().text("sha", value["sha"].as_string())).str();
}

std::string print_layer(const Json& layer) {
  return std::move(GoObject()
                       .text("sha", layer["sha"].as_string())
                       .value("data", with_floats(layer["data"]))
                       .flag("build", layer["build"].as_bool())
                       .flag("launch", layer["launch"].as_bool())
                       .flag("cache", layer["cache"].as_bool()))
      .str();
}

std::string print_buildpack(const Json& b) {
  std::string layers = "null";
  if (b["layers"].is_object()) {
    Json::Object sorted = b["layers"].as_object();
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& x, const auto& y) { return x.first < y.first; });
    GoObject object;
    for (const auto& [name, layer] : sorted) object.raw(name, print_layer(layer));
    layers = std::move(object).str();
  }
  GoObject out;
  out.text("key", b["key"].as_string()).text("version", b["version"].as_string());
  out.raw("layers", layers);
  if (b["store"].is_object())
    out.raw("store",
            std::move(GoObject().value("metadata", with_floats(b["store"]["metadata"]))).str());
  return std::move(out).str();
}

std::string print_run_image(GoObject object, const Json& run) {
  object.text_unless_empty("image", run["image"].as_string())
      .raw_unless_empty("mirrors", oci::go_strings_or_nothing(run["mirrors"].as_strings()));
  return std::move(object).str();
}

/// As names are compared: complete, without a digest.
std::string comparable(const std::string& name) {
  auto reference = oci::ImageReference::parse(name.substr(0, name.find("@sha256:")));
  return reference ? reference->name() : name;
}

bool contains(const Json& run, const std::string& name) {
  const std::string wanted = comparable(name);
  if (comparable(run["image"].as_string()) == wanted) return true;
  const std::vector<std::string> mirrors = run["mirrors"].as_strings();
  return std::any_of(mirrors.begin(), mirrors.end(),
                     [&](const std::string& mirror) { return comparable(mirror) == wanted; });
}

/// "linux/amd64 v8, debian 12", for people.
std::string target_of(const oci::ConfigFile& image) {
  std::string out = image.os + "/" + image.architecture;
  if (!image.variant.empty()) out += "/" + image.variant;
  const std::string name = image.label(kDistroName), version = image.label(kDistroVersion);
  if (!name.empty() || !version.empty()) out += ", " + name + " " + version;
  return out;
}

/// What is empty in the new base fits everything.
bool target_fits(const oci::ConfigFile& app, const oci::ConfigFile& base) {
  if (base.os != app.os || base.architecture != app.architecture) return false;
  if (!base.variant.empty() && !app.variant.empty() && base.variant != app.variant) return false;
  if (!base.labels.contains(kDistroName) && !base.labels.contains(kDistroVersion)) return true;
  if (!app.labels.contains(kDistroName) && !app.labels.contains(kDistroVersion)) return false;
  for (const char* name : {kDistroName, kDistroVersion})
    if (!base.label(name).empty() && base.label(name) != app.label(name)) return false;
  return true;
}

/// Mixins without the prefix of a stage: "build:git" counts as "git".
std::vector<std::string> mixins_of(const oci::ConfigFile& image) {
  std::vector<std::string> out;
  const auto label = Json::parse(image.label(kMixins));
  if (!label) return out;
  for (const std::string& mixin : label->as_strings())
    out.push_back(mixin.substr(mixin.find(':') == std::string::npos ? 0 : mixin.find(':') + 1));
  return out;
}

Result<void> check_stack(const oci::ConfigFile& app, const oci::ConfigFile& base) {
  const std::string ours = app.label(kStackId), theirs = base.label(kStackId);
  if (ours.empty() || ours != theirs)
    return Error(Errc::unsupported, "the image was made for the stack \"" + ours +
                                        "\", the run image is of \"" + theirs + "\"");
  const std::vector<std::string> there = mixins_of(base);
  for (const std::string& mixin : mixins_of(app))
    if (std::find(there.begin(), there.end(), mixin) == there.end())
      return Error(Errc::unsupported, "the run image lacks the mixin " + mixin);
  return {};
}

/// An objection that `force` overrules.
Result<void> object(bool force, std::vector<std::string>& notices, const std::string& what) {
  if (!force) return Error(Errc::unsupported, what).with_hint("rebuild the image, or use --force");
  notices.push_back(what);
  return {};
}

Result<void> check_rules(const oci::ConfigFile& app, const oci::ConfigFile& base, bool force,
                         std::vector<std::string>& notices) {
  const auto api = ApiVersion::parse(app.variable("CNB_PLATFORM_API"));
  if (!api || *api < kTargetsApi) return check_stack(app, base);
  if (app.label("io.buildpacks.rebasable") == "false")
    TRY(object(force, notices, "the image is labelled as not rebasable"));
  if (!target_fits(app, base))
    TRY(object(
        force, notices,
        "the image was made for " + target_of(app) + ", the run image is " + target_of(base)));
  return {};
}

Result<Json> lifecycle_label_of(const oci::ConfigFile& app) {
  const std::string text = app.label(kLifecycle);
  if (text.empty())
    return Error(Errc::invalid_input,
                 "it was not made by buildpacks: it has no label " + std::string(kLifecycle));
  return Json::parse(text, {.reject_duplicates = false}).context(kLifecycle);
}

/// Where the run image may be got, the best first: one on the image's own registry before the rest.
std::vector<std::string> candidates(const Json& label, const oci::ImageReference& name) {
  const Json& run = label["runImage"]["image"].as_string().empty() ? label["stack"]["runImage"]
                                                                   : label["runImage"];
  std::vector<std::string> out = run["mirrors"].as_strings();
  if (const std::string& image = run["image"].as_string(); !image.empty())
    out.insert(out.begin(), image);
  std::stable_partition(out.begin(), out.end(), [&](const std::string& candidate) {
    const auto reference = oci::ImageReference::parse(candidate);
    return reference && name.is_registry() && reference->registry == name.registry;
  });
  return out;
}

}  // namespace

std::string normalized_lifecycle_label(const Json& label) {
  const Json& run = label["runImage"];
  GoObject run_image;
  run_image.text("topLayer", run["topLayer"].as_string())
      .text("reference", run["reference"].as_string());
  GoObject out;
  out.value("app", with_floats(label["app"]));
  if (label["sbom"].is_object()) out.raw("sbom", print_sha(label["sbom"]));
  out.raw("buildpacks", list_or_null(label["buildpacks"], print_buildpack))
      .raw("config", print_sha(label["config"]))
      .raw("launcher", print_sha(label["launcher"]))
      .raw("process-types", print_sha(label["process-types"]))
      .raw("runImage", print_run_image(std::move(run_image), run));
  if (label["stack"].is_object())
    out.raw("stack",
            std::move(GoObject().raw("runImage", print_run_image({}, label["stack"]["runImage"])))
                .str());
  return std::move(out).str();
}

Result<oci::ConfigFile> rebased_config(const oci::ConfigFile& app, const oci::ConfigFile& run,
                                       const std::string& run_name,
                                       const std::string& run_reference, bool force,
                                       std::vector<std::string>& notices) {
  Json label = TRY(lifecycle_label_of(app));
  TRY(check_rules(app, run, force, notices));
  if (run.diff_ids.empty()) return Error(Errc::invalid_input, "the run image has no layers");
  oci::ConfigFile out = TRY(app.rebased(label["runImage"]["topLayer"].as_string(), run));
  Json run_image = label["runImage"];
  run_image.set("topLayer", run.diff_ids.back());
  run_image.set("reference", run_reference);
  if (!contains(run_image, run_name) && !contains(label["stack"]["runImage"], run_name)) {
    const std::string& known = run_image["image"].as_string();
    TRY(object(force, notices,
               "the image was made upon " + (known.empty() ? "another run image" : known) +
                   ", and " + run_name + " is none of its names"));
    run_image.set("image", run_name);
    run_image.set("mirrors", Json::array());
    label.set("stack", Json::object({{"runImage", Json::object({{"image", run_name}})}}));
  }
  label.set("runImage", std::move(run_image));
  out.labels[kLifecycle] = normalized_lifecycle_label(label);
  const auto of_base = [](const auto& item) {
    return item.first.starts_with("io.buildpacks.stack.") ||
           item.first.starts_with("io.buildpacks.base.");
  };
  std::erase_if(out.labels, of_base);
  for (const auto& item : run.labels)
    if (of_base(item)) out.labels.insert(item);
  return out;
}

Result<RebasedImage> rebase_image(builder::Environment& environment,
                                  const oci::ImageReference& name, const RebaseOptions& options,
                                  const builder::PrepareContext& context) {
  oci::ImageStore& images = *TRY(environment.images());
  const auto work = [&]() -> Result<RebasedImage> {
    const oci::StoredImage image = TRY(images.find(name));
    const oci::ConfigFile app = TRY(oci::ConfigFile::parse(TRY(config_document(images, image))));
    const Json label = TRY(lifecycle_label_of(app));
    std::vector<std::string> names = {options.run_image};
    if (options.run_image.empty()) names = candidates(label, name);
    if (names.empty())
      return Error(Errc::invalid_input, "its label names no run image")
          .with_hint("say which: --run-image REF");
    std::optional<builder::PulledImage> run;
    std::string run_name;
    Result<void> first;
    for (const std::string& candidate : names) {
      const auto reference = TRY(oci::ImageReference::parse(candidate).context("run image"));
      auto pulled = builder::pull_image(environment, reference, options.policy, context);
      if (pulled) {
        run = std::move(*pulled);
        run_name = candidate;
        break;
      }
      if (context.stop.stop_requested()) return std::move(pulled).error();
      if (first) first = std::move(pulled).error().with_context("run image");
    }
    if (!run) return std::move(first).error();

    RebasedImage out{.image = image,
                     .run_image = run_name,
                     .run_image_digest = run->image.manifest_digest.str(),
                     .notices = run->notices};
    const std::string reference = published_reference(run_name, out.run_image_digest);
    // The rebaser would rewrite it, without its history: nobody has asked for that.
    if (label["runImage"]["reference"].as_string() == reference && !options.force) return out;
    const oci::ConfigFile base =
        TRY(oci::ConfigFile::parse(TRY(config_document(images, run->image))));
    const std::string config =
        TRY(rebased_config(app, base, run_name, reference, options.force, out.notices))
            .write(kNormalCreated);
    // Both lists have the same length: the store sees to it.
    const auto top = std::find(app.diff_ids.begin(), app.diff_ids.end(),
                               label["runImage"]["topLayer"].as_string());
    std::vector<oci::Descriptor> layers = run->image.manifest.layers;
    layers.insert(layers.end(), image.manifest.layers.begin() + (top - app.diff_ids.begin()) + 1,
                  image.manifest.layers.end());
    out.changed = true;
    const UniqueFd lease = TRY(images.layout().lease());
    TRY(images.tag(TRY(images.layout().add_image(config, std::move(layers))).digest, name));
    out.image = TRY(images.find(name));
    return out;
  };
  return work().context("rebase " + name.familiar());
}

}  // namespace locald::cnb
