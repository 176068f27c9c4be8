#include "cnb/buildpacks/buildpack_toml.h"

#include <optional>
#include <utility>

#include "base/node/toml.h"
#include "cnb/inputs/builder_info.h"
#include "oci/ref/reference.h"

namespace locald::cnb {
namespace {

Result<Order> read_order(const Node& document) {
  Order order;
  for (const Node* group : TRY(document.get_tables("order"))) {
    OrderGroup& out = order.emplace_back();
    for (const Node* entry : TRY(group->get_tables("group"))) {
      OrderEntry e{.id = TRY(entry->get_string("id")),
                   .version = TRY(entry->get_string("version")),
                   .optional = TRY(entry->get_bool_or("optional", false))};
      if (auto good = check_buildpack_id(e.id); !good)
        return (*entry)["id"].error(good.error().message());
      if (auto good = check_buildpack_version(e.version); !good)
        return (*entry)["version"].error(good.error().message());
      out.push_back(std::move(e));
    }
    if (out.empty()) return group->error("a group of the order is empty");
  }
  return order;
}

}  // namespace

Result<Module> parse_buildpack_toml(std::string_view text, const std::string& file) {
  const Node document = TRY(parse_toml(text, file, {.max_bytes = kMaxBuildpackToml}));
  const Node& own = document["buildpack"];
  if (own.is_nothing()) {
    if (document.contains("extension"))
      return document["extension"]
          .error("it is an image extension")
          .with_hint("locald supports buildpacks only");
    return Error(Errc::invalid_input, file + ": there is no table [buildpack]");
  }
  if (!own.is_table()) return own.error("`buildpack` must be a table");
  if (!document.contains("api"))
    return Error(Errc::invalid_input, file + ": there is no `api`")
        .with_hint("the Buildpack API it is written for, at the top: api = \"0.10\"");
  Module out;
  out.api = TRY(document.get_string("api"));
  if (!ApiVersion::parse(out.api))
    return document["api"].error("invalid API version \"" + out.api + "\"");
  out.id = TRY(own.get_string("id"));
  if (auto good = check_buildpack_id(out.id); !good) return own["id"].error(good.error().message());
  out.version = TRY(own.get_string("version"));
  if (auto good = check_buildpack_version(out.version); !good)
    return own["version"].error(good.error().message());
  out.order = TRY(read_order(document));
  if (!out.order.empty())
    for (const char* key : {"targets", "stacks"})
      if (!TRY(document.get_tables(key)).empty())
        return document[key].error(std::string("`") + key +
                                   "` beside an `order`: a buildpack made of others has none");
  return out;
}

Result<PackageToml> parse_package_toml(std::string_view text, const std::string& file) {
  const Node document = TRY(parse_toml(text, file));
  const std::string base_dir = file.substr(0, file.rfind('/') + 1);
  PackageToml out;
  if (const Node& own = document["buildpack"]; own.is_table())
    out.base = TRY(own.get_string_or("uri", ""));
  if (out.base == ".") out.base.clear();
  for (const Node* table : TRY(document.get_tables("dependencies"))) {
    const std::string uri = TRY(table->get_string_or("uri", ""));
    const std::string image = TRY(table->get_string_or("image", ""));
    if (uri.empty() == image.empty())
      return table->error("a dependency has one of `uri` and `image`");
    if (!uri.empty()) {
      auto parsed = parse_buildpack_uri(uri, base_dir);
      if (!parsed) return (*table)["uri"].error("`uri`: " + parsed.error().message());
      if (std::holds_alternative<BuilderOrder>(*parsed))
        return (*table)["uri"].error("`uri`: the builder's order is not part of a buildpack");
      out.dependencies.push_back({std::move(*parsed), table->at()});
    } else {
      auto name = oci::ImageReference::parse("docker://" + image);
      if (!name) return (*table)["image"].error("`image`: " + name.error().message());
      out.dependencies.push_back({ImageName{std::move(*name)}, table->at()});
    }
  }
  return out;
}

ScriptFiles script_files(const std::string& id, const std::string& version, const std::string& api,
                         const std::string& shell, const std::string& body) {
  const std::string first = "#!" + shell + "\n\n";
  const Node toml = Node::table(
      {{"api", api},
       {"buildpack", Node::table({{"id", id}, {"version", version}})},
       // Both: which of them a lifecycle looks at depends on the API. Neither limits anything.
       {"targets", Node::array({Node::table({{"os", "linux"}})})},
       {"stacks", Node::array({Node::table({{"id", "*"}})})}});
  return {write_toml(toml).value_or(""), first + "exit 0\n", first + body + "\n"};
}

}  // namespace locald::cnb
