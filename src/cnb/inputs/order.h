#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "cnb/inputs/buildpack_uri.h"
#include "oci/ref/digest.h"
#include "oci/spec/image_config.h"

/// Which buildpacks are tried, in which order: what a builder's labels and composite buildpacks
/// say of it, and what a project.toml makes of that. Pure.
/// Spec: CNB platform.md#ordertoml-toml, distribution.md.
namespace locald::cnb {

struct OrderEntry {
  std::string id;
  std::string version;  ///< empty until it is completed: the only one there is
  bool optional = false;
  friend bool operator==(const OrderEntry&, const OrderEntry&) = default;
};
using OrderGroup = std::vector<OrderEntry>;
using Order = std::vector<OrderGroup>;

/// As labels of images have it: [{"group": [{"id", "version", "optional"}]}]; null is none.
/// @return Errc::invalid_input for other types and for ids and versions that are none.
Result<Order> order_from_json(const Json& json);
Json to_json(const Order& order);
/// /layers/order.toml; "" of an empty order.
std::string order_toml(const Order& order);

/// A buildpack in a builder, in a package, or added to a build.
struct Module {
  std::string id, version;
  std::string api;     ///< Buildpack API, "0.10"
  Order order;         ///< of a composite one: what stands in its place
  bool added = false;  ///< to the builder, by the project
  std::string name() const { return id + "@" + version; }
};

/// The buildpacks that a build can use.
class Modules {
 public:
  void add(Module module);  ///< instead of one of the same id and version
  const Module* find(const std::string& id, const std::string& version) const;
  /// The version that is meant: `wanted` where it is there; the only one where none is wanted.
  /// @return Errc::not_found, Errc::invalid_input where there are several; with what there is.
  Result<std::string> version_of(const std::string& id, const std::string& wanted) const;
  const std::map<std::pair<std::string, std::string>, Module>& all() const { return all_; }

 private:
  std::map<std::pair<std::string, std::string>, Module> all_;
};

/// What the labels of a builder or a package say of the buildpacks in it. A value.
struct ImageModules {
  Modules modules;
  std::map<std::pair<std::string, std::string>, oci::Digest> layers;  ///< diffIDs
  Order order;                                                        ///< of a builder
  std::string main_id, main_version;  ///< of a package: the one that it is named for

  /// @return Errc::invalid_input where a label is missing or damaged.
  static Result<ImageModules> of_builder(const oci::ImageConfig& config);
  static Result<ImageModules> of_package(const oci::ImageConfig& config);
};

/// An entry of a project.toml's groups, looked up; or the place where the builder's order stands.
using GroupMember = std::variant<OrderEntry, BuilderOrder>;

/// One group with these members. With the builder's order among them as many groups as that has,
/// each with what stands before and after it.
Order order_of_group(const std::vector<GroupMember>& members, const Order& builders);
/// The builder's groups, each between these, in the order of the file. (pack 0.40 puts several of
/// `pre` in reverse: spec: extensions/project-descriptor.md says otherwise.)
Order order_between(const std::vector<OrderEntry>& pre, const Order& builders,
                    const std::vector<OrderEntry>& post);

/// Gives each entry its version.
/// @return what Modules::version_of says; Errc::not_found for a composite buildpack that was added
///         without what it is made of.
Result<Order> complete(Order order, const Modules& modules);

}  // namespace locald::cnb
