#include "cnb/inputs/order.h"

#include <algorithm>

#include "base/node/toml.h"
#include "base/strings.h"
#include "oci/spec/manifest.h"

namespace locald::cnb {
namespace {

constexpr const char* kLayersLabel = "io.buildpacks.buildpack.layers";
constexpr const char* kOrderLabel = "io.buildpacks.buildpack.order";
constexpr const char* kPackageLabel = "io.buildpacks.buildpackage.metadata";

/// A label as JSON; null where it is not there.
Result<Json> read_label(const oci::ImageConfig& config, const char* name) {
  const auto found = config.labels.find(name);
  if (found == config.labels.end()) return Json();
  return oci::parse_image_json(found->second).context(std::string("the label ") + name);
}

Result<void> read_layers(const oci::ImageConfig& config, ImageModules& out) {
  const Json label = TRY(read_label(config, kLayersLabel));
  const std::string where = std::string("the label ") + kLayersLabel;
  for (const auto& [id, versions] : label.as_object())
    for (const auto& [version, module] : versions.as_object()) {
      TRY(check_buildpack_id(id).context(where));
      TRY(check_buildpack_version(version).context(where));
      out.modules.add({id, version, module["api"].as_string(),
                       TRY(order_from_json(module["order"]).context(where + ": " + id))});
      out.layers.emplace(
          std::pair(id, version),
          TRY(oci::Digest::parse(module["layerDiffID"].as_string()).context(where + ": " + id)));
    }
  return {};
}

/// Follows composite buildpacks that were added to what they are made of; the builder's own are its
/// maker's affair.
Result<void> check_parts(const OrderEntry& entry, const Modules& modules,
                         std::set<std::string>& seen) {
  const Module* module = modules.find(entry.id, entry.version);
  if (module == nullptr || !module->added || !seen.insert(module->name()).second) return {};
  for (const OrderGroup& group : module->order)
    for (const OrderEntry& part : group) {
      if (modules.find(part.id, part.version) == nullptr)
        return Error(Errc::not_found, "the buildpack " + module->name() +
                                          " is made of others, and " + part.id + "@" +
                                          part.version + " of these is not there")
            .with_hint(
                "name it in project.toml too, or use a package (an image, a .cnb) that holds all "
                "of them");
      TRY(check_parts(part, modules, seen));
    }
  return {};
}

}  // namespace

Result<Order> order_from_json(const Json& json) {
  if (!json.is_null() && !json.is_array())
    return Error(Errc::invalid_input, "an order must be an array");
  Order order;
  for (const Json& group : json.as_array()) {
    OrderGroup& out = order.emplace_back();
    for (const Json& entry : group["group"].as_array()) {
      OrderEntry e{.id = TRY(entry.get_string("id")),
                   .version = TRY(entry.get_string_or("version", "")),
                   .optional = TRY(entry.get_bool_or("optional", false))};
      TRY(check_buildpack_id(e.id));
      if (!e.version.empty()) TRY(check_buildpack_version(e.version).context(e.id));
      out.push_back(std::move(e));
    }
  }
  return order;
}

Json to_json(const Order& order) {
  Json out = Json::array();
  for (const OrderGroup& group : order) {
    Json entries = Json::array();
    for (const OrderEntry& e : group)
      entries.push(Json::object({{"id", e.id}, {"version", e.version}, {"optional", e.optional}}));
    out.push(Json::object({{"group", std::move(entries)}}));
  }
  return out;
}

std::string order_toml(const Order& order) {
  if (order.empty()) return {};
  Node groups = Node::array();
  for (const OrderGroup& group : order) {
    Node entries = Node::array();
    for (const OrderEntry& e : group) {
      Node entry = Node::table({{"id", e.id}, {"version", e.version}});
      if (e.optional) entry.set("optional", true);
      entries.push(std::move(entry));
    }
    groups.push(Node::table({{"group", std::move(entries)}}));
  }
  return write_toml(Node::table({{"order", std::move(groups)}})).value_or("");
}

void Modules::add(Module module) {
  auto key = std::pair(module.id, module.version);
  all_.insert_or_assign(std::move(key), std::move(module));
}

const Module* Modules::find(const std::string& id, const std::string& version) const {
  const auto found = all_.find({id, version});
  return found == all_.end() ? nullptr : &found->second;
}

Result<std::string> Modules::version_of(const std::string& id, const std::string& wanted) const {
  std::vector<std::string> versions, ids;
  for (const auto& [key, module] : all_) {
    if (module.id == id) versions.push_back(module.version);
    if (ids.empty() || ids.back() != module.id) ids.push_back(module.id);
  }
  if (versions.empty()) {
    Error error(Errc::not_found, "there is no buildpack " + id);
    if (const auto near = did_you_mean(id, ids))
      return std::move(error).with_hint("did you mean " + *near + "?");
    return std::move(error).with_hint(ids.empty() ? "" : "there is " + join(ids, ", "));
  }
  if (wanted.empty()) {
    if (versions.size() == 1) return versions[0];
    return Error(Errc::invalid_input,
                 "there are several versions of the buildpack " + id + ": " + join(versions, ", "))
        .with_hint("say which: version = \"" + versions.back() + "\"");
  }
  if (find(id, wanted) != nullptr) return wanted;
  return Error(Errc::not_found, "there is no buildpack " + id + " of version " + wanted +
                                    ", but of " + join(versions, ", "));
}

Result<ImageModules> ImageModules::of_builder(const oci::ImageConfig& config) {
  ImageModules out;
  TRY(read_layers(config, out));
  out.order = TRY(order_from_json(TRY(read_label(config, kOrderLabel)))
                      .context(std::string("the label ") + kOrderLabel));
  return out;
}

Result<ImageModules> ImageModules::of_package(const oci::ImageConfig& config) {
  for (const char* label : {kPackageLabel, kLayersLabel})
    if (!config.labels.contains(label))
      return Error(Errc::invalid_input,
                   std::string("it is not a package of buildpacks: it has no label ") + label)
          .with_hint("such images are made by `pack buildpack package`");
  ImageModules out;
  TRY(read_layers(config, out));
  const Json main = TRY(read_label(config, kPackageLabel));
  out.main_id = main["id"].as_string();
  out.main_version = main["version"].as_string();
  if (out.modules.find(out.main_id, out.main_version) == nullptr)
    return Error(Errc::invalid_input, std::string("the label ") + kPackageLabel + " names \"" +
                                          out.main_id + "@" + out.main_version +
                                          "\", which is not in " + kLayersLabel);
  return out;
}

Order order_of_group(const std::vector<GroupMember>& members, const Order& builders) {
  OrderGroup before, after;
  bool with_builder = false;
  for (const GroupMember& member : members) {
    if (std::holds_alternative<BuilderOrder>(member))
      with_builder = true;
    else
      (with_builder ? after : before).push_back(std::get<OrderEntry>(member));
  }
  if (!with_builder) return {before};
  return order_between(before, builders, after);
}

Order order_between(const std::vector<OrderEntry>& pre, const Order& builders,
                    const std::vector<OrderEntry>& post) {
  Order out;
  for (const OrderGroup& group : builders) {
    OrderGroup& all = out.emplace_back(pre);
    all.insert(all.end(), group.begin(), group.end());
    all.insert(all.end(), post.begin(), post.end());
  }
  return out;
}

Result<Order> complete(Order order, const Modules& modules) {
  std::set<std::string> seen;
  for (OrderGroup& group : order)
    for (OrderEntry& entry : group) {
      entry.version = TRY(modules.version_of(entry.id, entry.version));
      TRY(check_parts(entry, modules, seen));
    }
  return order;
}

}  // namespace locald::cnb
