// go.mod: the programs of a module.
#include <utility>

#include "base/strings.h"
#include "project/init/part.h"

namespace locald::project::init {
namespace {

/// The folder's files of Go, one of which is `package main`.
std::vector<std::string> program_in(const Place& place) {
  std::vector<std::string> files;
  bool main = false;
  for (const std::string& name : place.names()) {
    if (!name.ends_with(".go") || name.ends_with("_test.go")) continue;
    files.push_back(name);
    const std::string text = place.text(name);
    main = main || text.starts_with("package main\n") ||
           text.find("\npackage main\n") != std::string::npos;
  }
  return main ? files : std::vector<std::string>();
}

}  // namespace

void find_go(const Place& place, Part& part) {
  const auto module = place.read("go.mod");
  if (!module) return;
  part.files.emplace_back("go.mod");
  static constexpr std::pair<std::string_view, Store> kModules[] = {
      {"github.com/lib/pq", Store::postgres},
      {"github.com/jackc/pgx", Store::postgres},
      {"gorm.io/driver/postgres", Store::postgres},
      {"github.com/go-sql-driver/mysql", Store::mysql},
      {"gorm.io/driver/mysql", Store::mysql},
      {"go.mongodb.org/mongo-driver", Store::mongo},
      {"github.com/redis/go-redis", Store::redis},
      {"github.com/go-redis/redis", Store::redis},
      {"github.com/gomodule/redigo", Store::redis},
      {"github.com/hibiken/asynq", Store::redis},
      {"github.com/rabbitmq/amqp091-go", Store::rabbitmq},
      {"github.com/streadway/amqp", Store::rabbitmq}};
  for (const std::string& line : split(*module, '\n'))
    for (const auto& [path, store] : kModules)
      if (line.find("// indirect") == std::string::npos && line.find(path) != std::string::npos)
        part.stores.insert(store);
  // gin's Run() without an address asks for it by itself.
  const bool gin = module->find("github.com/gin-gonic/gin ") != std::string::npos;
  const auto add = [&](const Place& where, std::string name, std::string from) {
    const auto files = program_in(where);
    if (files.empty()) return;
    Process process{.name = std::move(name), .command = "go run " + from, .from = from};
    find_port(where, files, process);
    if (gin && process.port == 0) process.listens = true;
    part.processes.push_back(std::move(process));
  };
  add(place, "web", ".");
  if (!place.has("cmd/")) return;
  const Place cmd = place.below("cmd");
  for (const std::string& name : cmd.names()) {
    if (!name.ends_with('/')) continue;
    const std::string folder = name.substr(0, name.size() - 1);
    add(cmd.below(folder), folder, "./cmd/" + folder);
  }
}

}  // namespace locald::project::init
