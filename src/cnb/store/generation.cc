#include "cnb/store/generation.h"

#include <algorithm>

#include "base/json/fields.h"
#include "base/strings.h"

namespace locald {
namespace {

const Fields& layer_fields() {
  using L = cnb::GenerationLayer;
  static const Fields table = FieldsOf<L>("layer")
                                  .always("name", &L::name, "")
                                  .always("launch", &L::launch, "")
                                  .always("build", &L::build, "")
                                  .always("cache", &L::cache, "")
                                  .always("data", &L::data, "")
                                  .always("tree", &L::tree, "");
  return table;
}

}  // namespace

namespace fields {

template <>
struct Of<cnb::GenerationLayer> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &layer_fields};
};

}  // namespace fields

namespace {

const Fields& buildpack_fields() {
  using B = cnb::GenerationBuildpack;
  static const Fields table = FieldsOf<B>("buildpack")
                                  .always("id", &B::id, "")
                                  .always("version", &B::version, "")
                                  .always("api", &B::api, "")
                                  .always("homepage", &B::homepage, "")
                                  .always("layers", &B::layers, "")
                                  .always("store", &B::store, "")
                                  .always("has_store", &B::has_store, "");
  return table;
}

}  // namespace

namespace fields {

template <>
struct Of<cnb::GenerationBuildpack> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &buildpack_fields};
};

}  // namespace fields

namespace cnb {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using PairLists = std::vector<std::vector<std::string>>;  ///< [[key, value]]: keys in their order

PairLists lists_of(const Pairs& pairs) {
  PairLists out;
  for (const auto& [key, value] : pairs) out.push_back({key, value});
  return out;
}

Pairs pairs_of(const PairLists& lists) {
  Pairs out;
  for (const std::vector<std::string>& pair : lists)
    if (pair.size() == 2) out.emplace_back(pair[0], pair[1]);
  return out;
}

struct TimeEntry {
  std::string name;
  std::int64_t ms = 0;

  static const Fields& fields() {
    static const Fields table = FieldsOf<TimeEntry>("time")
                                    .always("name", &TimeEntry::name, "")
                                    .always("ms", &TimeEntry::ms, "");
    return table;
  }
};

struct TimesEntry {
  std::vector<TimeEntry> phases, buildpacks;
  std::int64_t total = 0;

  static const Fields& fields() {
    using T = TimesEntry;
    static const Fields table = FieldsOf<T>("times")
                                    .always("phases", &T::phases, "")
                                    .always("buildpacks", &T::buildpacks, "")
                                    .always("total_ms", &T::total, "");
    return table;
  }
};

struct ProcessEntry {
  std::string type;
  std::vector<std::string> command;
  std::optional<std::vector<std::string>> args;
  bool direct = false;
  std::string buildpack_id, working_dir;
  std::vector<std::string> exec_env;

  static const Fields& fields() {
    using P = ProcessEntry;
    static const Fields table = FieldsOf<P>("process")
                                    .always("type", &P::type, "")
                                    .always("command", &P::command, "")
                                    .always("args", &P::args, "")
                                    .always("direct", &P::direct, "")
                                    .always("buildpack_id", &P::buildpack_id, "")
                                    .always("working_dir", &P::working_dir, "")
                                    .always("exec_env", &P::exec_env, "");
    return table;
  }
};

/// The members of a Generation that a record has in another form.
struct GenerationEntry {
  PairLists parts, labels;
  std::vector<ProcessEntry> processes;
  Json times;

  static const Fields& fields() {
    using G = GenerationEntry;
    static const Fields table = FieldsOf<G>("generation")
                                    .always("parts", &G::parts, "")
                                    .always("labels", &G::labels, "")
                                    .required("processes", &G::processes, "")
                                    .always("times", &G::times, "");
    return table;
  }
};

const Fields& generation_fields() {
  using G = Generation;
  static const Fields table = FieldsOf<G>("generation")
                                  .required("number", &G::number, "")
                                  .required("fingerprint", &G::fingerprint, "")
                                  .required("built_at", &G::built_at, "")
                                  .required("map_id", &G::map_id, "")
                                  .required("boot_id", &G::boot_id, "")
                                  .required("builder", &G::builder, "")
                                  .required("builder_digest", &G::builder_digest, "")
                                  .required("run_image", &G::run_image, "")
                                  .required("run_image_digest", &G::run_image_digest, "")
                                  .always("run_mirrors", &G::run_mirrors, "")
                                  .required("platform_api", &G::platform_api, "")
                                  .required("lifecycle_version", &G::lifecycle_version, "")
                                  .required("uid", &G::uid, "")
                                  .required("gid", &G::gid, "")
                                  .always("base_config", &G::base_config, "")
                                  .required("image_digest", &G::image_digest, "")
                                  .required("root", &G::root, "")
                                  .required("buildpacks", &G::buildpacks, "")
                                  .required("default_process", &G::default_process, "")
                                  .always("slices", &G::slices, "")
                                  .required("exec_env", &G::exec_env, "")
                                  .required("launch_sbom", &G::launch_sbom, "")
                                  .required("cache_sbom", &G::cache_sbom, "")
                                  .always("hidden", &G::hidden, "")
                                  .always("project", &G::project, "");
  return table;
}

std::vector<TimeEntry> entries_of(const std::vector<std::pair<std::string, std::int64_t>>& times) {
  std::vector<TimeEntry> out;
  for (const auto& [name, ms] : times) out.push_back({name, ms});
  return out;
}

std::vector<std::pair<std::string, std::int64_t>> times_of(const std::vector<TimeEntry>& entries) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  for (const TimeEntry& entry : entries) out.emplace_back(entry.name, entry.ms);
  return out;
}

}  // namespace

Json BuildTimes::to_json() const {
  return encode(TimesEntry{entries_of(phases), entries_of(buildpacks), total});
}

BuildTimes BuildTimes::from_json(const Json& json) {
  const auto entry = decode<TimesEntry>(json, Reading::tolerant);
  if (!entry) return {};  // they are shown, and nothing depends on them
  return {times_of(entry->phases), times_of(entry->buildpacks), entry->total};
}

const Process* Generation::find_process(const std::string& type) const {
  const auto found = std::find_if(processes.begin(), processes.end(),
                                  [&](const Process& p) { return p.type == type; });
  return found == processes.end() ? nullptr : &*found;
}

Result<std::string> Generation::choose_process(const std::string& asked_for) const {
  const std::string& type = asked_for.empty() ? default_process : asked_for;
  if (!type.empty() && find_process(type) != nullptr) return type;
  std::vector<std::string> types;
  for (const Process& process : processes) types.push_back(process.type);
  Error error(Errc::not_found, asked_for.empty()
                                   ? "the app has no default process type"
                                   : "the app has no process type \"" + asked_for + "\"");
  if (types.empty())
    return std::move(error).with_hint(
        "the app defines no process types; add a Procfile if the builder supports it");
  return std::move(error).with_hint("set `process` to one of: " + join(types, ", "));
}

Json Generation::to_json() const {
  Json out = generation_fields().encode(this);
  out.set("format", kFormat);
  GenerationEntry entry;
  entry.parts = lists_of({parts.begin(), parts.end()});
  entry.labels = lists_of(labels);
  for (const Process& p : processes)
    entry.processes.push_back({p.type, p.command, p.has_args ? std::optional(p.args) : std::nullopt,
                               p.direct, p.buildpack_id, p.working_dir, p.exec_env});
  entry.times = times.to_json();
  const Json more = encode(entry);
  for (const auto& [name, value] : more.as_object()) out.set(name, value);
  return out;
}

Result<Generation> Generation::from_json(const Json& json) {
  if (TRY(json.get_int("format")) != kFormat)
    return Error(Errc::unsupported, "a generation of another version of locald");
  Generation g;
  TRY(generation_fields().decode(json, &g, Reading::tolerant));
  for (const GenerationBuildpack& b : g.buildpacks)
    for (const GenerationLayer& layer : b.layers)
      if (layer.tree.find_first_of("/.") != std::string::npos)  // a name of a folder in t/
        return Error(Errc::corrupt, "\"" + layer.tree + "\" names no tree");
  GenerationEntry entry = TRY(decode<GenerationEntry>(json, Reading::tolerant));
  for (auto& [key, value] : pairs_of(entry.parts)) g.parts.emplace(key, value);
  g.labels = pairs_of(entry.labels);
  for (ProcessEntry& p : entry.processes)
    g.processes.push_back({.type = std::move(p.type),
                           .command = std::move(p.command),
                           .args = p.args.value_or(std::vector<std::string>()),
                           .has_args = p.args.has_value(),
                           .direct = p.direct,
                           .buildpack_id = std::move(p.buildpack_id),
                           .working_dir = std::move(p.working_dir),
                           .exec_env = std::move(p.exec_env)});
  g.times = BuildTimes::from_json(entry.times);
  return g;
}

namespace {
constexpr std::string_view kStampKind = "cnb:";
}

std::string GenerationStamp::str() const {
  return std::string(kStampKind) + app + ":" + std::to_string(number) + "@" + built_at;
}

std::optional<GenerationStamp> GenerationStamp::parse(std::string_view text) {
  if (!text.starts_with(kStampKind)) return std::nullopt;
  text.remove_prefix(kStampKind.size());
  const std::size_t colon = text.find(':'), at = text.find('@');
  if (at == std::string_view::npos || colon > at) return std::nullopt;
  const auto number = parse_u64(text.substr(colon + 1, at - colon - 1));
  if (!number) return std::nullopt;
  return GenerationStamp{std::string(text.substr(0, colon)), *number,
                         std::string(text.substr(at + 1))};
}

}  // namespace cnb
}  // namespace locald
