// Cargo.toml: the programs of a package or workspace.
#include <utility>

#include "base/node/toml.h"
#include "base/strings.h"
#include "project/init/part.h"

namespace locald::project::init {
namespace {

bool has_feature(const Node& dependency, std::string_view feature) {
  for (const Node& item : dependency["features"].as_array())
    if (item.as_string().starts_with(feature)) return true;
  return false;
}

void rust_stores(const Node& dependencies, Part& part) {
  static constexpr std::pair<std::string_view, Store> kCrates[] = {
      {"postgres", Store::postgres},
      {"tokio-postgres", Store::postgres},
      {"deadpool-postgres", Store::postgres},
      {"mysql", Store::mysql},
      {"mysql_async", Store::mysql},
      {"mongodb", Store::mongo},
      {"redis", Store::redis},
      {"deadpool-redis", Store::redis},
      {"fred", Store::redis},
      {"lapin", Store::rabbitmq}};
  for (const auto& [name, store] : kCrates)
    if (dependencies.contains(name)) part.stores.insert(store);
  for (const char* name : {"sqlx", "diesel", "sea-orm", "diesel-async"}) {
    if (has_feature(dependencies[name], "postgres") ||
        has_feature(dependencies[name], "sqlx-postgres"))
      part.stores.insert(Store::postgres);
    if (has_feature(dependencies[name], "mysql") || has_feature(dependencies[name], "sqlx-mysql"))
      part.stores.insert(Store::mysql);
  }
}

void add_program(const Place& place, const std::string& name, const std::string& command,
                 const std::string& from, Part& part) {
  Process process{.name = name, .command = command, .from = from};
  find_port(place, {"src/main.rs", "src/config.rs", "src/lib.rs"}, process);
  part.processes.push_back(std::move(process));
}

bool is_program(const Place& place) {
  return place.has("src/") && place.below("src").has("main.rs");
}

/// The folders that a workspace names; of patterns those that end in `/*`.
std::vector<std::string> members_of(const Place& place, const Node& workspace) {
  std::vector<std::string> out;
  for (const Node& member : workspace["members"].as_array()) {
    const std::string& path = member.as_string();
    if (!path.ends_with("/*")) {
      out.push_back(path);
      continue;
    }
    const std::string folder = path.substr(0, path.size() - 2);
    for (const std::string& name : place.below(folder).names())
      if (name.ends_with('/')) out.push_back(folder + "/" + name.substr(0, name.size() - 1));
  }
  return out;
}

}  // namespace

void find_rust(const Place& place, Part& part) {
  const auto text = place.read("Cargo.toml");
  if (!text) return;
  const auto doc = parse_toml(*text, "Cargo.toml");
  if (!doc) return pass_over("Cargo.toml", doc.error(), part);
  part.files.emplace_back("Cargo.toml");
  rust_stores((*doc)["dependencies"], part);
  rust_stores((*doc)["workspace"]["dependencies"], part);
  if (is_program(place)) add_program(place, "web", "cargo run", "src/main.rs", part);
  for (const std::string& member : members_of(place, (*doc)["workspace"])) {
    const Place below = place.below(member);
    const std::string file = member + "/Cargo.toml";
    const auto package = parse_toml(below.text("Cargo.toml"), file);
    if (!package) {
      pass_over(file, package.error(), part);
      continue;
    }
    rust_stores((*package)["dependencies"], part);
    const std::string& name = (*package)["package"]["name"].as_string();
    if (is_program(below) && !name.empty())
      add_program(below, name, "cargo run -p " + name, member + "/src/main.rs", part);
  }
}

}  // namespace locald::project::init
