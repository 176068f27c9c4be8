#include "project/compose/complete.h"

#include <fmt/format.h>

#include <cctype>

#include "base/strings.h"

namespace locald::project::compose {
namespace {

/// Calls `change` with each item of the list `key` of `owner` that is a table.
template <typename Change>
void each_item(Node& owner, const char* key, const Change& change) {
  if (Node* const list = owner.find(key))
    if (Node::Array* const items = list->items())
      for (Node& item : *items)
        if (item.is_table()) change(item);
}

/// With each member of the table `key` of `owner` that is a table.
template <typename Change>
void each_member(Node& owner, const char* key, const Change& change) {
  if (Node* const table = owner.find(key))
    if (Node::Table* const members = table->members())
      for (auto& [name, member] : *members)
        if (member.is_table()) change(name, member);
}

void put(Node& owner, const char* key, Node value) {
  value.place_as(owner);
  owner.set(key, std::move(value));
}

void put_missing(Node& owner, const char* key, Node value) {
  if (!owner.contains(key)) put(owner, key, std::move(value));
}

void default_count(Node& request) {
  if (!request.contains("device_ids")) put_missing(request, "count", "all");
}

void service_defaults(Node& service) {
  if (Node* const build = service.find("build"); build != nullptr && build->is_table())
    put_missing(*build, "context", ".");
  each_item(service, "secrets", [](Node& secret) {
    put_missing(secret, "target", "/run/secrets/" + secret["source"].as_string());
  });
  each_item(service, "ports", [](Node& port) {
    put_missing(port, "protocol", "tcp");
    put_missing(port, "mode", "ingress");
  });
  each_item(service, "gpus", default_count);
  if (Node* const deploy = service.find("deploy"))
    if (Node* const resources = deploy->find("resources"))
      if (Node* const reservations = resources->find("reservations"))
        each_item(*reservations, "devices", default_count);
  each_item(service, "volumes", [](Node& volume) {
    if (Node* const bind = volume.find("bind"); bind != nullptr && bind->is_table())
      put_missing(*bind, "create_host_path", true);
  });
}

bool remote_context(std::string_view text) {
  if (text.find("://") != std::string_view::npos) return true;
  for (const std::string_view prefix : {"service:", "github.com/", "git@"})
    if (text.starts_with(prefix)) return true;
  return false;
}

bool drive_path(std::string_view text) {  // C:\x
  return text.size() > 2 && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
         text[1] == ':' && (text[2] == '\\' || text[2] == '/');
}

class Paths {
 public:
  Paths(const std::string& dir, const std::string& home) : dir_(dir), home_(home) {}

  /// An empty path is none.
  void make_absolute(Node* value) const {
    if (value != nullptr && !value->as_string().empty()) make_absolute_or_dir(value);
  }
  /// An empty path is the folder itself.
  void make_absolute_or_dir(Node* value) const {
    if (value == nullptr || !value->is_string()) return;
    Node path(absolute_path(value->as_string(), dir_, home_));
    path.place_as(*value);
    *value = std::move(path);
  }
  void context(Node* value) const {
    if (value != nullptr && !remote_context(value->as_string())) make_absolute(value);
  }

 private:
  const std::string& dir_;
  const std::string& home_;
};

void service_paths(const std::string& name, Node& service, const Paths& paths, Report& report) {
  if (Node* const build = service.find("build")) {
    paths.context(build->find("context"));
    if (Node* const contexts = build->find("additional_contexts"))
      if (Node::Table* const members = contexts->members())
        for (auto& [key, value] : *members) paths.context(&value);
    if (Node* const ssh = build->find("ssh"))
      if (Node::Table* const members = ssh->members())
        for (auto& [key, value] : *members) paths.make_absolute_or_dir(&value);
  }
  each_item(service, "env_file", [&](Node& file) { paths.make_absolute(file.find("path")); });
  if (Node* const files = service.find("label_file"))
    if (Node::Array* const items = files->items())
      for (Node& item : *items) paths.make_absolute(&item);
  if (Node* const extends = service.find("extends")) paths.make_absolute(extends->find("file"));
  if (Node* const develop = service.find("develop"))
    each_item(*develop, "watch", [&](Node& watch) { paths.make_absolute(watch.find("path")); });
  each_item(service, "volumes", [&](Node& volume) {
    if (volume["type"].as_string() != "bind") return;
    Node* const source = volume.find("source");
    if (source == nullptr)
      report.problem(volume, fmt::format("`services.{}.volumes`: a bind needs a `source`", name));
    else if (!drive_path(source->as_string()))
      paths.make_absolute_or_dir(source);
  });
}

void imply(Node& dependencies, const std::string& service, bool restart, const Node& from) {
  if (dependencies.contains(service)) return;
  Node one = Node::table();
  one.place_as(from);
  put(one, "condition", "service_started");
  put(one, "restart", restart);
  put(one, "required", true);
  dependencies.set(service, std::move(one));
}

void implied_dependencies(Node& service) {
  Node dependencies = service["depends_on"];
  for (const Node& link : service["links"].as_array()) {
    const std::vector<std::string> parts = split(link.as_string(), ':');
    imply(dependencies, parts.size() == 2 ? parts[0] : link.as_string(), true, link);
  }
  for (const char* key : {"network_mode", "ipc", "pid", "uts", "cgroup"}) {
    const Node& value = service[key];
    if (value.as_string().starts_with("service:"))
      imply(dependencies, value.as_string().substr(8), true, value);
  }
  for (const Node& from : service["volumes_from"].as_array())
    if (!from.as_string().starts_with("container:"))
      imply(dependencies, split(from.as_string(), ':')[0], false, from);
  if (dependencies.as_table().empty()) return;
  service.set("depends_on", std::move(dependencies));
}

void take_values(Node* table, const Environment& environment, bool keep) {
  if (table == nullptr || !table->is_table()) return;
  for (auto& [name, value] : *table->members()) {
    const auto found = environment.find(name);
    if (!value.is_nothing() || found == environment.end()) continue;
    Node text(found->second);
    text.place_as(value);
    value = std::move(text);
  }
  if (!keep)
    std::erase_if(*table->members(), [](const auto& member) { return member.second.is_nothing(); });
}

void fill_in_service(Node& service, const Environment& environment) {
  if (service["pull_policy"].as_string() == "if_not_present")
    put(service, "pull_policy", "missing");
  if (Node* const build = service.find("build"); build != nullptr && build->is_table()) {
    if ((*build)["context"].is_nothing()) put(*build, "context", ".");
    if ((*build)["dockerfile"].is_nothing() && (*build)["dockerfile_inline"].is_nothing())
      put(*build, "dockerfile", "Dockerfile");
    take_values(build->find("args"), environment, false);
  }
  take_values(service.find("environment"), environment, true);
  implied_dependencies(service);
  if (Node* const deploy = service.find("deploy");
      deploy != nullptr && deploy->is_table() && service["scale"].is_int())
    put_missing(*deploy, "replicas", service["scale"]);
  each_item(service, "volumes", [](Node& volume) {
    const std::string& target = volume["target"].as_string();
    if (target.starts_with('/')) put(volume, "target", tidy_path(target));
  });
  each_item(service, "pre_start", [&](Node& hook) {
    if (!service["image"].as_string().empty()) put_missing(hook, "image", service["image"]);
  });
}

void fill_in_networks(Node& model) {
  bool uses_default = false;
  each_member(model, "services", [&](const std::string&, Node& service) {
    if (service.contains("provider") || service.contains("network_mode")) return;
    if (service["networks"].as_table().empty()) {
      Node networks = Node::table();
      networks.place_as(service);
      put(networks, "default", Node());
      service.set("networks", std::move(networks));
    }
    uses_default = uses_default || service["networks"].contains("default");
  });
  if (!uses_default || model["networks"].contains("default")) return;
  Node networks = model["networks"];
  networks.set("default", Node());
  model.set("networks", std::move(networks));
}

}  // namespace

std::string absolute_path(const std::string& path, const std::string& dir,
                          const std::string& home) {
  if (path.starts_with('~') && !home.empty()) return tidy_path(home + "/" + path.substr(1));
  return path.starts_with('/') ? path : tidy_path(dir + "/" + path);
}

void set_defaults(Node& model) {
  each_member(model, "services",
              [](const std::string&, Node& service) { service_defaults(service); });
}

void resolve_paths(Node& model, const std::string& dir, const std::string& home, Report& report) {
  const Paths paths(dir, home);
  each_member(model, "services", [&](const std::string& name, Node& service) {
    service_paths(name, service, paths, report);
  });
  for (const char* section : {"secrets", "configs"})
    each_member(model, section, [&](const std::string&, Node& file) {
      paths.make_absolute_or_dir(file.find("file"));
    });
  each_member(model, "volumes", [&](const std::string&, Node& volume) {
    Node* const options = volume.find("driver_opts");
    if (options != nullptr && volume["driver"].as_string() == "local" &&
        (*options)["o"].as_string() == "bind")
      paths.make_absolute_or_dir(options->find("device"));
  });
}

void resolve_variables(Node& model, const Environment& environment) {
  each_member(model, "services", [&](const std::string&, Node& service) {
    Node* const list = service.find("environment");
    if (list == nullptr || !list->is_array()) return;
    for (Node& item : *list->items()) {
      const auto found = environment.find(item.as_string());
      if (!item.is_string() || found == environment.end()) continue;
      Node text(found->first + "=" + found->second);
      text.place_as(item);
      item = std::move(text);
    }
  });
  for (const char* section : {"secrets", "configs"})
    each_member(model, section, [&](const std::string&, Node& file) {
      const Node& variable = file["environment"];
      const auto found = environment.find(variable.as_string());
      if (!variable.is_string() || found == environment.end()) return;
      put(file, kContentKey, found->second);
    });
}

void fill_in(Node& model, const std::string& project, const Environment& environment) {
  fill_in_networks(model);
  each_member(model, "services",
              [&](const std::string&, Node& service) { fill_in_service(service, environment); });
  for (const char* section : {"networks", "volumes", "configs", "secrets"}) {
    Node* const table = model.find(section);
    if (table == nullptr || !table->is_table()) continue;
    for (auto& [key, resource] : *table->members()) {
      if (resource.is_nothing()) {
        Node empty = Node::table();
        empty.place_as(resource);
        resource = std::move(empty);
      }
      if (resource["name"].is_nothing())
        put(resource, "name",
            resource["external"].as_bool() ? key : fmt::format("{}_{}", project, key));
    }
  }
}

}  // namespace locald::project::compose
