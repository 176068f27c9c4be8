// package.json: which script is the app, its package manager, its port.
#include <algorithm>
#include <utility>

#include "base/json/json.h"
#include "base/strings.h"
#include "project/init/part.h"

namespace locald::project::init {
namespace {

constexpr const char* kFile = "package.json";

/// The package manager, and how it hands arguments on to a script.
struct Manager {
  std::string name = "npm", separator = " -- ";
  std::string run(const std::string& script) const { return name + " run " + script; }
  /// Runs a program of a package.
  std::string program(const std::string& words) const {
    return (name == "npm" ? "npx " : name == "bun" ? "bunx " : name + " exec ") + words;
  }
};

Manager manager_of(const Place& place, const Json& package) {
  const std::string& said = package["packageManager"].as_string();
  for (const auto& [name, lock] :
       {std::pair("pnpm", "pnpm-lock.yaml"), std::pair("yarn", "yarn.lock"),
        std::pair("bun", "bun.lockb"), std::pair("bun", "bun.lock")})
    if (said.starts_with(std::string(name) + "@") || (said.empty() && place.has(lock)))
      return {name, " "};
  return {};
}

/// A tool that a script begins with.
struct Tool {
  std::string_view word;
  std::string_view option;  ///< for its port; empty: it asks for PORT
};
constexpr Tool kTools[] = {
    {"next", ""},
    {"nuxt", ""},
    {"nuxi", ""},
    {"react-scripts", ""},
    {"remix", ""},
    {"vite", "--port $PORT --strictPort"},
    {"astro", "--port $PORT"},
    {"ng", "--port $PORT"},
    {"vue-cli-service", "--port $PORT"},
    {"webpack", "--port $PORT"},
    {"webpack-dev-server", "--port $PORT"},
    {"parcel", "--port $PORT"},
    {"gatsby", "--port $PORT"},
};
/// These run scripts of other packages.
constexpr std::string_view kOfMany[] = {"turbo", "nx", "lerna", "concurrently"};

/// The files that may hold the app's first line: those that its script names, then usual ones.
std::vector<std::string> sources(const Json& package, const std::string& script) {
  std::vector<std::string> files;
  for (const std::string& word : split(script, ' '))
    if (word.ends_with("js") || word.ends_with(".ts") || word.find('/') != std::string::npos)
      files.push_back(word.starts_with("./") ? word.substr(2) : word);
  if (const std::string& main = package["main"].as_string(); !main.empty()) files.push_back(main);
  for (const char* folder : {"", "src/"})
    for (const char* name : {"server", "index", "app", "main"})
      for (const char* ending : {".js", ".ts", ".mjs", ".cjs"})
        files.push_back(std::string(folder) + name + ending);
  files.emplace_back("bin/www");
  return files;
}

Process app_of(const Place& place, const Json& package, const Manager& manager,
               const std::string& name, const std::string& script) {
  Process out{.name = "web", .command = manager.run(name), .from = "scripts." + name};
  for (const std::string_view tool : kOfMany)
    if (has_word(script, tool)) return out;
  if (out.port = port_in_command(" " + script); out.port != 0) return out;
  for (const Tool& tool : kTools) {
    if (!has_word(script, tool.word)) continue;
    out.listens = true;
    if (!tool.option.empty()) out.command += manager.separator + std::string(tool.option);
    return out;
  }
  find_port(place, sources(package, script), out);
  return out;
}

void node_stores(const Place& place, const Json& package, Part& part) {
  static constexpr std::pair<std::string_view, Store> kPackages[] = {
      {"pg", Store::postgres},         {"postgres", Store::postgres},
      {"pg-promise", Store::postgres}, {"mysql", Store::mysql},
      {"mysql2", Store::mysql},        {"mongodb", Store::mongo},
      {"mongoose", Store::mongo},      {"redis", Store::redis},
      {"ioredis", Store::redis},       {"bull", Store::redis},
      {"bullmq", Store::redis},        {"connect-redis", Store::redis},
      {"amqplib", Store::rabbitmq},    {"amqp-connection-manager", Store::rabbitmq}};
  for (const char* kind : {"dependencies", "devDependencies"})
    for (const auto& [name, store] : kPackages)
      if (package[kind].contains(name)) part.stores.insert(store);
  const std::string prisma = place.text("prisma/schema.prisma");
  for (const auto& [word, store] :
       {std::pair("\"postgresql\"", Store::postgres), std::pair("\"mysql\"", Store::mysql),
        std::pair("\"mongodb\"", Store::mongo)})
    if (prisma.find(word) != std::string::npos) part.stores.insert(store);
}

}  // namespace

void find_node(const Place& place, Part& part) {
  const auto text = place.read(kFile);
  if (!text) return;
  const auto parsed = Json::parse(*text, {.reject_duplicates = false, .any_bytes = true});
  if (!parsed) {  // "JSON, line 3: …"
    std::string why = parsed.error().message();
    if (constexpr std::string_view kLine = "JSON, line "; why.starts_with(kLine)) {
      why.replace(0, kLine.size(), std::string(kFile) + ":");
      why.insert(why.find(": ") + 2, "not JSON: ");
    }
    return pass_over(kFile, Error(Errc::invalid_input, why), part);
  }
  if (!parsed->is_object())
    return pass_over(kFile, Error(Errc::invalid_input, "not a JSON object"), part);
  const Json& package = *parsed;
  part.files.emplace_back(kFile);
  node_stores(place, package, part);
  const Manager manager = manager_of(place, package);
  const Json& scripts = package["scripts"];
  for (const char* name : {"migrate", "db:migrate", "migrate:latest", "db:deploy"})
    if (scripts.contains(name)) {
      part.processes.push_back({.name = "migrate",
                                .command = manager.run(name),
                                .from = std::string("scripts.") + name,
                                .once = true});
      break;
    }
  const bool migrates = !part.processes.empty() && part.processes.back().once;
  if (!migrates && place.has("prisma/") && place.below("prisma").has("migrations/"))
    part.processes.push_back({.name = "migrate",
                              .command = manager.program("prisma migrate deploy"),
                              .from = "prisma/migrations",
                              .once = true});
  bool app = false;
  for (const char* name : {"dev", "start:dev", "develop", "serve", "start"}) {
    if (!scripts.contains(name)) continue;
    part.processes.push_back(app_of(place, package, manager, name, scripts[name].as_string()));
    app = true;
    break;
  }
  for (const char* name : {"worker", "workers", "queue", "jobs"})
    if (scripts.contains(name))
      part.processes.push_back(
          {.name = name, .command = manager.run(name), .from = std::string("scripts.") + name});
  if (app) return;
  for (const std::string& file : sources(package, ""))
    if (file.ends_with("js") && place.read(file)) {
      Process process{.name = "web", .command = "node " + file, .from = file};
      find_port(place, {file}, process);
      part.processes.push_back(std::move(process));
      return;
    }
}

}  // namespace locald::project::init
