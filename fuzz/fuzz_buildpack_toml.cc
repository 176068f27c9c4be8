#include <cstdlib>
#include <string>
#include <string_view>

#include "cnb/buildpacks/buildpack_toml.h"
#include "cnb/inputs/order.h"

using namespace locald::cnb;  // NOLINT: a fuzz target

namespace {
void check(bool ok) {
  if (!ok) std::abort();
}

/// What becomes a name in paths is one.
void check_names(const std::string& id, const std::string& version) {
  check(bool(check_buildpack_id(id)) && id.find("..") != 0 && id[0] != '/');
  check(version.empty() || bool(check_buildpack_version(version)));
  check(version != "." && version != ".." && version.find('/') == std::string::npos);
}

void check_order(const Order& order) {
  for (const OrderGroup& group : order)
    for (const OrderEntry& entry : group) check_names(entry.id, entry.version);
  check(order_from_json(to_json(order)).value() == order);
}
}  // namespace

/// A buildpack.toml, a package.toml, and the labels of builders and packages. Properties: names
/// that are taken can be in a path, orders survive being written down, and nothing is taken twice.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto module = parse_buildpack_toml(text, "buildpack.toml")) {
    check_names(module->id, module->version);
    check(!module->version.empty() && !module->api.empty());
    check_order(module->order);
  }
  if (const auto package = parse_package_toml(text, "/nonexistent/package.toml"))
    for (const auto& part : package->dependencies)
      check(!std::holds_alternative<BuilderOrder>(part.uri));

  locald::oci::ImageConfig config;
  config.labels = {{"io.buildpacks.buildpack.layers", text},
                   {"io.buildpacks.buildpack.order", text},
                   {"io.buildpacks.buildpackage.metadata", R"({"id":"a","version":"1"})"}};
  for (const bool package : {false, true}) {
    if (!package) config.labels["io.buildpacks.buildpack.order"] = text;
    const auto read = package ? ImageModules::of_package(config) : ImageModules::of_builder(config);
    if (!read) continue;
    check_order(read->order);
    check(read->layers.size() == read->modules.all().size());
    Order all;
    for (const auto& [key, module] : read->modules.all()) {
      check_names(module.id, module.version);
      check_order(module.order);
      all.push_back({{module.id, module.version}});
    }
    check(bool(complete(all, read->modules)));
    if (package) check(read->modules.find(read->main_id, read->main_version) != nullptr);
  }
  return 0;
}
