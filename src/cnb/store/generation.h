#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "cnb/app.h"

namespace locald::cnb {

/// A layer that a buildpack left and that outlives its build: for the app (launch), or for the next
/// build (cache). Spec: CNB buildpack.md#layer-types.
struct GenerationLayer {
  std::string name;
  bool launch = false, build = false, cache = false;
  Json data;         ///< `metadata` of its toml; null where there is none
  std::string tree;  ///< AppStore::tree(): its content
};

struct GenerationBuildpack {
  std::string id, version, api, homepage;
  std::vector<GenerationLayer> layers;  ///< by name
  Json store;                           ///< `metadata` of store.toml; null where there is none
  bool has_store = false;               ///< there is a store.toml, with or without `metadata`
};

/// How long the parts of a build took.
struct BuildTimes {
  std::vector<std::pair<std::string, std::int64_t>> phases;      ///< milliseconds
  std::vector<std::pair<std::string, std::int64_t>> buildpacks;  ///< "id@version", bin/build alone
  std::int64_t total = 0;

  Json to_json() const;
  static BuildTimes from_json(const Json& json);
};

/// One finished build of an app: what a start runs, and what the next build starts from. Written
/// last (R-RECORD-LAST). A value.
struct Generation {
  static constexpr int kFormat = 1;

  std::uint64_t number = 0;                  ///< counts the app's builds
  std::string fingerprint;                   ///< of all that went into it but the run image
  std::map<std::string, std::string> parts;  ///< of it: BuildInputs::parts; to tell what changed
  std::string built_at;                      ///< RFC 3339, UTC
  std::string map_id;   ///< of the owners on disk: under another one it counts as absent
  std::string boot_id;  ///< not known to have reached the disk: counts in this boot only

  std::string builder, builder_digest;      ///< name and manifest
  std::string run_image, run_image_digest;  ///< name as the user would write it, and manifest
  std::vector<std::string> run_mirrors;     ///< other names of it, as the builder gives them
  std::string platform_api, lifecycle_version;
  std::uint32_t uid = 0, gid = 0;  ///< who built

  /// The configuration document of the image that the app stands on: of the run image, or, for
  /// a build by the real exporter, of the app's own image. Its layers are all that is
  /// needed of it, so that a start asks no image store.
  Json base_config;
  /// Set for a build by the real exporter: the manifest of the app's image in the image store. Then
  /// there are no trees.
  std::string image_digest;
  std::uint64_t root = 0;  ///< the number of the generation whose root/ this one stands on: a
                           ///< rebase shares it; 0 for a build by the real exporter

  std::vector<GenerationBuildpack> buildpacks;  ///< in the order of the group
  std::vector<Process> processes;               ///< by type
  std::string default_process;                  ///< "" = none
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<std::vector<std::string>> slices;  ///< patterns of each
  std::string exec_env;
  bool launch_sbom = false;  ///< root/layers/sbom/launch is there
  bool cache_sbom = false;   ///< sbom-cache is there
  /// What buildpacks wrote into folders whose live source hides it.
  std::vector<std::string> hidden;
  Json project;  ///< io.buildpacks.project.metadata
  BuildTimes times;

  bool strict() const noexcept { return !image_digest.empty(); }
  const Process* find_process(const std::string& type) const;
  /// The type that is asked for, "" for the default one.
  /// @return Errc::not_found: there is none; names those that there are.
  Result<std::string> choose_process(const std::string& asked_for) const;

  Json to_json() const;
  /// @return Errc::unsupported: of another format; Errc::invalid_input.
  static Result<Generation> from_json(const Json& json);
};

/// What names a generation beneath a container (Assembly::stamp): "cnb:APP:NUMBER@BUILT_AT".
/// Numbers begin at 1 again where an app's folder was removed; the time tells them apart.
struct GenerationStamp {
  std::string app;
  std::uint64_t number = 0;
  std::string built_at;

  std::string str() const;
  /// @return nullopt for anything else.
  static std::optional<GenerationStamp> parse(std::string_view text);
  friend bool operator==(const GenerationStamp&, const GenerationStamp&) = default;
};

}  // namespace locald::cnb
