#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"

namespace locald::oci {

/// An image's configuration document on its way from one image to another made of it: with the
/// members that the tools of Cloud Native Buildpacks keep (go-containerregistry's v1.ConfigFile),
/// written as they write them, byte for byte. What runs an image is ImageConfig. A value. Spec: OCI
/// image-spec, config.md; the order and the quirks are those tools'.
class ConfigFile {
 public:
  struct History {
    std::string author, created_by, comment;
    bool empty_layer = false;
  };

  /// Members may differ in case from their names, as Go reads them; those nobody knows are dropped.
  /// @return Errc::invalid_input: a member of the wrong type.
  static Result<ConfigFile> parse(const Json& document);

  std::string architecture, author, docker_version, os, os_version, variant, rootfs_type;
  std::vector<std::string> os_features;
  std::vector<std::string> diff_ids;
  std::vector<History> history;

  std::vector<std::string> cmd, entrypoint, env;
  std::map<std::string, std::string> labels;
  std::string working_dir;

  /// The value of NAME in `env`; "" where there is none, or one with a "=" in its value, as imgutil
  /// reads it.
  std::string variable(std::string_view name) const;
  /// Sets NAME where it stands first, or at the end.
  void set_variable(const std::string& name, const std::string& value);
  std::string label(const std::string& name) const;  ///< "" where there is none

  /// A further layer on top. What the history does not say of the layers below is made empty
  /// entries.
  void add_layer(const std::string& diff_id, const std::string& created_by);

  /// The same with other layers below: those up to and with `top_layer`, a diffID, make room for
  /// all of `base`, whose platform it gets. Its execution parameters stay, the history says nothing
  /// any more: mutate.Rebase and imgutil's Rebase and Save.
  /// @return Errc::invalid_input: no layer `top_layer`, or a history that cannot be.
  Result<ConfigFile> rebased(const std::string& top_layer, const ConfigFile& base) const;

  /// The document. Every time in it is `created`, RFC 3339.
  std::string write(std::string_view created) const;

 private:
  /// One entry a layer: without those of empty layers, or empty ones if the numbers differ.
  void normalize_history();

  Json rest_ = Json::object();  // members of `config` that nobody changes here, by their names
};

}  // namespace locald::oci
