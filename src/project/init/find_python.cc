// Python: requirements, pyproject.toml, Pipfile; Django, FastAPI, Flask, Celery.
#include <algorithm>
#include <set>
#include <utility>

#include "base/node/toml.h"
#include "base/strings.h"
#include "project/init/part.h"

namespace locald::project::init {
namespace {

using Names = std::set<std::string>;

/// "Flask[async] >= 2 ; python_version > '3'": the name, and each extra as a name.
void add_requirement(std::string_view line, Names& out) {
  line = trim(line.substr(0, line.find('#')));
  if (line.empty() || line.starts_with('-')) return;
  const std::size_t end = line.find_first_of("<>=!~;[( @");
  std::string name = to_lower(line.substr(0, end));
  std::replace(name.begin(), name.end(), '_', '-');
  out.insert(name);
  if (const std::size_t open = line.find('['); open != std::string_view::npos && open == end)
    for (const std::string& extra : split(line.substr(open + 1, line.find(']') - open - 1), ','))
      out.insert(to_lower(trim(extra)));
}

void add_keys(const Node& table, Names& out) {
  for (const auto& [name, value] : table.as_table()) add_requirement(name, out);
}

void add_list(const Node& list, Names& out) {
  for (const Node& item : list.as_array()) add_requirement(item.as_string(), out);
}

Names requirements_of(const Place& place, Part& part) {
  Names out;
  const auto add_lines = [&](const std::string& file) {
    const auto text = place.read(file);
    if (!text) return;
    part.files.push_back(file);
    for (const std::string& line : split(*text, '\n')) add_requirement(line, out);
  };
  for (const std::string& name : place.names())
    if (name.starts_with("requirements") && name.ends_with(".txt")) add_lines(name);
  if (place.has("requirements/"))
    for (const std::string& name : place.below("requirements").names())
      if (name.ends_with(".txt")) add_lines("requirements/" + name);
  if (const auto text = place.read("pyproject.toml")) {
    const auto doc = parse_toml(*text, "pyproject.toml");
    if (!doc) {
      pass_over("pyproject.toml", doc.error(), part);
    } else {
      part.files.emplace_back("pyproject.toml");
      add_list((*doc)["project"]["dependencies"], out);
      for (const Node* tables :
           {&(*doc)["project"]["optional-dependencies"], &(*doc)["dependency-groups"]})
        for (const auto& [name, list] : tables->as_table()) add_list(list, out);
      const Node& poetry = (*doc)["tool"]["poetry"];
      add_keys(poetry["dependencies"], out);
      for (const auto& [name, group] : poetry["group"].as_table())
        add_keys(group["dependencies"], out);
    }
  }
  if (const auto text = place.read("Pipfile")) {
    const auto doc = parse_toml(*text, "Pipfile");
    if (!doc) {
      pass_over("Pipfile", doc.error(), part);
    } else {
      part.files.emplace_back("Pipfile");
      add_keys((*doc)["packages"], out);
    }
  }
  return out;
}

/// The interpreter of the environment that the project has.
std::string python_of(const Place& place) {
  if (place.has("uv.lock")) return "uv run python";
  if (place.has("poetry.lock")) return "poetry run python";
  if (place.has("Pipfile")) return "pipenv run python";
  for (const char* folder : {".venv/", "venv/"})
    if (place.has(folder)) return std::string(folder) + "bin/python";
  return "python3";
}

struct Module {
  std::string file, name, variable;  ///< app/main.py, app.main, app
};

/// The first file with a line `NAME = CALL(`, in the folder or one or two below.
/// @param within  In a function too: one that makes the app.
std::optional<Module> module_with(const Place& place, std::string_view call, bool within = false) {
  std::vector<std::string> files;
  const auto add = [&](const Place& where, const std::string& prefix) {
    for (const std::string& name : where.names())
      if (name.ends_with(".py")) files.push_back(prefix + name);
  };
  add(place, "");
  for (const std::string& name : place.names()) {
    if (!name.ends_with('/') || name.starts_with('.') || name == "venv/" || name == "tests/")
      continue;
    const Place below = place.below(name.substr(0, name.size() - 1));
    add(below, name);
    if (name == "src/")
      for (const std::string& inner : below.names())
        if (inner.ends_with('/')) add(below.below(inner.substr(0, inner.size() - 1)), name + inner);
  }
  for (const std::string& file : files) {
    const std::string text = place.text(file);
    for (const std::string& line : split(text, '\n')) {
      const std::size_t equals = line.find(" = " + std::string(call) + "(");
      if (equals == std::string::npos || (line.starts_with(' ') && !within)) continue;
      std::string variable = line.substr(0, std::min(equals, line.find(':')));
      std::string name = file.substr(0, file.size() - 3);
      if (name.starts_with("src/")) name.erase(0, 4);
      std::replace(name.begin(), name.end(), '/', '.');
      if (name.ends_with(".__init__")) name.resize(name.size() - 9);
      return Module{file, name, variable};
    }
  }
  return std::nullopt;
}

void python_stores(const Names& names, Part& part) {
  static constexpr std::pair<std::string_view, Store> kPackages[] = {
      {"psycopg", Store::postgres},
      {"psycopg2", Store::postgres},
      {"psycopg2-binary", Store::postgres},
      {"asyncpg", Store::postgres},
      {"pg8000", Store::postgres},
      {"mysqlclient", Store::mysql},
      {"pymysql", Store::mysql},
      {"aiomysql", Store::mysql},
      {"mysql-connector-python", Store::mysql},
      {"pymongo", Store::mongo},
      {"motor", Store::mongo},
      {"mongoengine", Store::mongo},
      {"beanie", Store::mongo},
      {"redis", Store::redis},
      {"django-redis", Store::redis},
      {"rq", Store::redis},
      {"arq", Store::redis},
      {"pika", Store::rabbitmq},
      {"aio-pika", Store::rabbitmq},
      {"librabbitmq", Store::rabbitmq}};
  for (const auto& [name, store] : kPackages)
    if (names.contains(std::string(name))) part.stores.insert(store);
  if (names.contains("celery") && !part.stores.contains(Store::redis) &&
      !part.stores.contains(Store::rabbitmq))
    part.notes.push_back(
        "Celery needs a broker, and its dependencies name none: add redis or rabbitmq.");
}

/// As `flask --app` takes it: a path, which it makes a module's name of.
std::string flask_app(const std::string& file) {
  const std::string_view init = "/__init__.py";
  return file.substr(0, file.size() - (file.ends_with(init) ? init.size() : 3));
}

void add_celery(const Place& place, const std::string& python, Part& part) {
  const auto module = module_with(place, "Celery");
  if (!module) return;
  // Django's way: the package, which loads its celery.py.
  std::string app = module->name;
  if (app.ends_with(".celery") && place.has("manage.py")) app.resize(app.size() - 7);
  part.processes.push_back({.name = "worker",
                            .command = python + " -m celery -A " + app + " worker --loglevel=info",
                            .from = module->file});
}

}  // namespace

void find_python(const Place& place, Part& part) {
  const std::size_t files = part.files.size();
  const Names names = requirements_of(place, part);
  const bool django = place.has("manage.py");
  if (part.files.size() == files && !django) return;
  const std::string python = python_of(place);
  python_stores(names, part);
  const auto fastapi = module_with(place, "FastAPI");
  const auto flask = fastapi ? std::nullopt : module_with(place, "Flask", /*within=*/true);
  if (django) {
    part.files.emplace_back("manage.py");
    part.processes.push_back({.name = "migrate",
                              .command = python + " manage.py migrate",
                              .from = "Django",
                              .once = true});
    part.processes.push_back({.name = "web",
                              .command = python + " manage.py runserver $PORT",
                              .from = "Django",
                              .listens = true});
  } else if (fastapi) {
    const std::string where = fastapi->file.starts_with("src/") ? " --app-dir src" : "";
    part.processes.push_back({.name = "web",
                              .command = python + " -m uvicorn " + fastapi->name + ":" +
                                         fastapi->variable + where + " --reload --port $PORT",
                              .from = fastapi->file,
                              .listens = true});
  } else if (flask) {
    part.processes.push_back({.name = "web",
                              .command = python + " -m flask --app " + flask_app(flask->file) +
                                         " run --debug --port $PORT",
                              .from = flask->file,
                              .listens = true});
  } else {
    for (const char* file : {"server.py", "app.py", "main.py", "run.py"})
      if (place.has(file)) {
        Process process{.name = "web", .command = python + " " + file, .from = file};
        find_port(place, {file}, process);
        part.processes.push_back(std::move(process));
        break;
      }
  }
  if (place.has("alembic.ini") && !django)
    part.processes.insert(part.processes.begin(), {.name = "migrate",
                                                   .command = python + " -m alembic upgrade head",
                                                   .from = "alembic.ini",
                                                   .once = true});
  if (names.contains("celery")) add_celery(place, python, part);
}

}  // namespace locald::project::init
