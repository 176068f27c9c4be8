#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "project/compose/env_files.h"
#include "project/compose/merge.h"
#include "project/compose/model_reader.h"
#include "project/compose/shape.h"

// `include` and `extends`: models of other files that become part of this one.
namespace locald::project::compose {
namespace {

constexpr std::size_t kMaxChain = 100;  // of files or services, each in or from the one before

std::string folder_of_file(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

/// The texts of a list, or the one text.
std::vector<std::string> texts_of(const Node& value) {
  if (value.is_string()) return {value.as_string()};
  return value.as_strings();
}

bool is_remote(const std::string& path) {
  return path.find("://") != std::string::npos || path.starts_with("git@") ||
         path.starts_with("oci:");
}

}  // namespace

bool ModelReader::include_all(Node& root, const Scope& scope, const std::vector<YamlMark>& marks) {
  const Node list = root["include"];
  if (list.is_nothing()) {
    root.erase("include");
    return true;
  }
  if (!list.is_array()) {
    report_.problem(list, fmt::format("`include` must be a list, not {}", kind_word(list)));
    return false;
  }
  bool good = true;  // what is wrong with the others is told, too
  for (const Node& entry : list.as_array()) good = include_one(entry, root, scope, marks) && good;
  root.erase("include");
  return good;
}

bool ModelReader::include_one(const Node& entry, Node& root, const Scope& scope,
                              const std::vector<YamlMark>& marks) {
  std::vector<std::string> files = texts_of(entry.is_table() ? entry["path"] : entry);
  const auto fail = [&](std::string message, std::string hint = {}) {
    report_.problem(entry, std::move(message), std::move(hint));
    return false;
  };
  if (files.empty()) return fail("`include` needs the path of a file");
  bool all_there = true;
  const auto look = [&](std::string& file) {
    file = absolute_path(file, scope.dir, home_);
    if (access_.kind(file) == PathKind::file) return;
    all_there = fail(fmt::format("`include`: {} does not exist", file));
  };
  for (std::string& file : files) {
    if (is_remote(file))
      return fail(fmt::format("`include` of \"{}\": files of other machines are not fetched",
                              shortened(file, 80)),
                  "put a copy beside this file");
    look(file);
  }
  std::vector<std::string> env_files = texts_of(entry["env_file"]);
  const bool named = !env_files.empty();
  std::erase(env_files, "/dev/null");
  for (std::string& file : env_files) look(file);
  if (!all_there) return false;
  if (std::find(open_.begin(), open_.end(), files[0]) != open_.end())
    return fail(fmt::format("files include each other: {} → {}", join(open_, " → "), files[0]));
  if (open_.size() >= kMaxChain)
    return fail(fmt::format("more than {} files include each other", kMaxChain));
  const std::string& given = entry["project_directory"].as_string();
  const std::string dir =
      given.empty() ? folder_of_file(files[0]) : absolute_path(given, scope.dir, home_);

  if (!named && access_.kind(dir + "/.env") == PathKind::file) env_files.push_back(dir + "/.env");
  Environment environment = scope.environment;
  read_env_files(env_files, access_, environment, report_);

  const std::size_t told = report_.problems.size();
  Node included = read_model(files, {dir, environment});
  if (report_.problems.size() != told) return false;
  for (const char* section : {"services", "volumes", "networks", "secrets", "configs", "models"}) {
    Node* const from = included.find(section);
    if (from == nullptr || !from->is_table()) continue;
    Node to = root[section];
    if (!to.is_nothing() && !to.is_table()) continue;  // check_schema tells
    if (to.is_nothing()) {
      to = Node::table();
      to.place_as(entry);
    }
    for (auto& [name, value] : *from->members()) {
      Node* const mine = to.find(name);
      if (mine == nullptr) {
        to.set(name, std::move(value));
        continue;
      }
      apply_marks(value, {section, name}, marks);
      const Shape* const shape = kProjectShape.find(section)->values;
      merge(value, std::move(*mine), shape, fmt::format("{}.{}", section, name), report_);
      *mine = std::move(value);
    }
    root.set(section, std::move(to));
  }
  return true;
}

bool ModelReader::extend_all(Node& root, const std::string& path, const Scope& scope,
                             const std::vector<YamlMark>& marks) {
  Node* const services = root.find("services");
  if (services == nullptr || !services->is_table()) return true;  // check_schema tells
  std::vector<std::string> names;
  for (const auto& [name, service] : services->as_table())
    if (service.contains("extends")) names.push_back(name);
  bool good = true;
  for (const std::string& name : names)
    good = extend(name, {*services, path, marks}, scope) && good;
  return good;
}

std::shared_ptr<ModelReader::Extended> ModelReader::extended_file(const Node& at,
                                                                  const std::string& path,
                                                                  const Scope& scope) {
  const std::string key = fmt::format("{}\n{}", scope.dir, path);
  if (const auto known = extended_.find(key); known != extended_.end()) return known->second;
  if (access_.kind(path) != PathKind::file) {
    report_.problem(at, fmt::format("`extends`: {} does not exist", path));
    return nullptr;
  }
  const std::string dir = folder_of_file(path);
  auto out = std::make_shared<Extended>();
  Node model = Node::table();
  if (!read_file(path, {dir, scope.environment, true}, model, &out->marks)) return nullptr;
  resolve_paths(model, dir, home_, report_);
  out->services = model["services"];
  return extended_[key] = out;
}

bool ModelReader::extend(const std::string& name, const Siblings& siblings, const Scope& scope) {
  const Node service = siblings.services[name];
  const Node& extends = service["extends"];
  if (extends.is_nothing()) return true;
  const auto fail = [&](std::string message, std::string hint = {}) {
    report_.problem(extends, std::move(message), std::move(hint));
    return false;
  };
  const std::string& base_name =
      extends.is_string() ? extends.as_string() : extends["service"].as_string();
  if (base_name.empty())
    return fail(fmt::format("`services.{}.extends` needs the name of a service", name));
  const std::string here = fmt::format("{} in {}", name, siblings.file);
  if (std::find(extends_.begin(), extends_.end(), here) != extends_.end())
    return fail(fmt::format("services extend each other: {} → {}", join(extends_, " → "), here));

  if (extends_.size() >= kMaxChain)
    return fail(fmt::format("more than {} services extend each other", kMaxChain));

  std::shared_ptr<Extended> other;
  std::string file = siblings.file;
  if (const std::string& named = extends["file"].as_string(); !named.empty()) {
    if (is_remote(named))
      return fail(fmt::format("`extends` of \"{}\": files of other machines are not fetched",
                              shortened(named, 80)),
                  "put a copy beside this file");
    file = absolute_path(named, scope.dir, home_);
    other = extended_file(extends, file, scope);
    if (other == nullptr) return false;
  }
  Node& services = other != nullptr ? other->services : siblings.services;
  if (!services.contains(base_name)) {
    std::vector<std::string> known;
    for (const auto& [key, value] : services.as_table()) known.push_back(key);
    const auto near = did_you_mean(base_name, known);
    return fail(fmt::format("`services.{}.extends`: there is no service \"{}\" in {}", name,
                            shortened(base_name, 60), file),
                near ? fmt::format("did you mean `{}`?", *near) : "");
  }
  const std::vector<YamlMark>& marks = other != nullptr ? other->marks : siblings.marks;
  extends_.push_back(here);
  const bool good = extend(base_name, {services, file, marks}, scope);
  extends_.pop_back();
  if (!good) return false;

  Node merged = services[base_name];
  Node mine = service;
  mine.erase("extends");
  if (merged.is_nothing()) merged = Node::table();
  if (!count(merged, siblings.file)) return false;
  apply_marks(merged, {"services", name}, siblings.marks);
  merge(merged, std::move(mine), &kServiceShape, member_path("services", name), report_);
  merged.erase("extends");
  merged.place_as(service);
  siblings.services.set(name, std::move(merged));
  return true;
}

}  // namespace locald::project::compose
