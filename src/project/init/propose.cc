// What the parts of a project become: services with names of their own, in the order that they
// start in.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "project/init/part.h"
#include "project/init/proposal.h"
#include "project/init/service_text.h"
#include "project/init/stores.h"
#include "project/resolve/resolve.h"

namespace locald::project::init {
namespace {

constexpr std::size_t kMaxFolders = 40;

/// A name that a service can have; "" where nothing is left of it.
std::string tidy_name(std::string_view text) {
  std::string out;
  for (const char c : to_lower(text)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain || (c == '_' && !out.empty()))
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (out.ends_with('-')) out.pop_back();
  return out.substr(0, 40);
}

std::string last_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Part part_at(const Place& place) {
  Part part;
  part.dir = place.path();
  find_builds(place, part);
  find_procfile(place, part);
  // The Procfile says what runs, and buildpacks do: what languages tell is then of their stores.
  Part languages;
  for (const auto find : {find_python, find_ruby, find_node, find_go, find_rust})
    find(place, languages);
  part.stores = languages.stores;
  part.stores_from = join(languages.files, ", ");
  part.files.insert(part.files.end(), languages.files.begin(), languages.files.end());
  part.notes.insert(part.notes.end(), languages.notes.begin(), languages.notes.end());
  if (part.processes.empty() && !part.builder) part.processes = std::move(languages.processes);
  if (!part.builder) find_pages(place, part);
  return part;
}

bool left_alone(const std::string& folder) {
  for (const char* name : {"node_modules/", "vendor/", "target/", "dist/", "build/", "venv/",
                           "tests/", "test/", "docs/", "examples/", "e2e/", "public/", "static/"})
    if (folder == name) return true;
  return folder.starts_with('.') || !folder.ends_with('/');
}

/// The project's folder, then those below that are apps of their own.
std::vector<Part> parts_of(const Folder& folder) {
  const Place root(folder, "");
  std::vector<Part> parts{part_at(root)};
  // A package of packages runs them itself, and a workspace or module names its programs.
  const bool whole = root.has("go.mod") || root.has("Cargo.toml");
  std::vector<std::string> folders;
  for (const std::string& name : root.names()) {
    if (left_alone(name)) continue;
    const std::string path = name.substr(0, name.size() - 1);
    folders.push_back(path);
    if (path == "apps" || path == "services" || path == "packages")
      for (const std::string& inner : root.below(path).names())
        if (!left_alone(inner)) folders.push_back(path + "/" + inner.substr(0, inner.size() - 1));
  }
  const bool packages = !parts[0].processes.empty() && root.has("package.json") &&
                        (root.text("package.json").find("\"workspaces\"") != std::string::npos ||
                         root.has("pnpm-workspace.yaml"));
  for (const std::string& path : folders) {
    if (parts.size() > kMaxFolders) break;
    const Place place(folder, path);
    if ((whole && !place.has("package.json")) || (packages && place.has("package.json"))) continue;
    if (!place.has("package.json") && !place.has("requirements.txt") &&
        !place.has("pyproject.toml") && !place.has("Pipfile") && !place.has("manage.py") &&
        !place.has("go.mod") && !place.has("Cargo.toml") && !place.has("Gemfile") &&
        !place.has("Procfile") && !place.has("project.toml"))
      continue;
    Part part = part_at(place);
    if (!part.processes.empty() || part.builder)
      parts.push_back(std::move(part));
    else if (!part.notes.empty())
      parts.push_back({.dir = part.dir, .notes = part.notes});
  }
  return parts;
}

class Proposer {
 public:
  Proposer(const Folder& folder, const std::set<std::string>& without) : without_(without) {
    ProjectSpec spec;
    spec.dir = folder.dir;
    project_ = project_name(spec, "").value_or("app");
    database_ = project_;
    std::replace(database_.begin(), database_.end(), '-', '_');
  }

  Result<Proposal> run(const std::vector<Part>& parts) {
    for (const Part& part : parts) {
      for (const std::string& file : part.files) out_.files.push_back(in(part, file));
      for (const std::string& note : part.notes)
        out_.notes.push_back(part.dir.empty() ? note : part.dir + "/" + note);
      for (const Store store : part.stores)
        if (!stores_.contains(store)) add_store(store, part);
    }
    // A store that is left out has a name all the same: it is nobody else's.
    for (const Part& part : parts) add_part(part);
    if (out_.services.empty()) return nothing(parts);
    out_.text = file_text(project_, out_.files, out_.notes, services_);
    return std::move(out_);
  }

 private:
  static std::string in(const Part& part, const std::string& file) {
    return part.dir.empty() ? file : part.dir + "/" + file;
  }

  Error nothing(const std::vector<Part>& parts) const {
    std::string notes;
    for (const Part& part : parts) notes += part.notes.empty() ? "" : "\n" + join(part.notes, "\n");
    if (!without_.empty()) return Error(Errc::not_found, "no service is left");
    return Error(Errc::not_found, "nothing here tells what runs" + notes)
        .with_hint(
            "init reads Procfile, package.json, pyproject.toml, requirements.txt, go.mod, "
            "Cargo.toml, Gemfile and project.toml; the least that a locald.toml can say is\n"
            "    [services.web]\n    command = \"./serve\"");
  }

  /// One that no other service has.
  std::string name_for(const std::string& wanted, const std::string& otherwise) {
    std::string base = tidy_name(wanted);
    if (base.empty() || names_.contains(base)) base = tidy_name(otherwise);
    if (base.empty()) base = "app";
    std::string name = base;
    for (int i = 2; !names_.insert(name).second; ++i) name = fmt::format("{}-{}", base, i);
    return name;
  }

  void add(ServiceText service, const std::string& what, const std::string& from) {
    if (without_.contains(service.name)) return;
    service.from = from;
    out_.services.push_back({service.name, what, from});
    services_.push_back(std::move(service));
  }

  std::string filled(std::string_view text, const std::string& name) const {
    std::string out(text);
    for (const auto& [word, value] : {std::pair(std::string(".NAME."), "." + name + "."),
                                      std::pair(std::string("DB"), database_)})
      for (std::size_t at = out.find(word); at != std::string::npos; at = out.find(word, at + 1))
        if (word != "DB" || at + 2 == out.size()) out.replace(at, word.size(), value);
    return out;
  }

  void add_store(Store store, const Part& part) {
    const StoreService& known = service_of(store);
    const std::string name = name_for(std::string(known.name),
                                      std::string(known.image.substr(0, known.image.find(':'))));
    stores_[store] = name;
    ServiceText service{.name = name};
    service.image = known.image;
    service.listens = true;
    service.container_port = known.port;
    for (const auto& [variable, value] : known.env)
      service.env.emplace_back(variable, filled(value, name));
    service.volume = name + ":" + std::string(known.data);
    service.check.assign(known.check.begin(), known.check.end());
    service.start_period = known.start_period;
    add(std::move(service), std::string(known.image), in(part, part.stores_from));
  }

  /// What the part's processes are told, and wait for.
  void add_surroundings(const Part& part, ServiceText& service) const {
    if (part.env_file) service.env_file = ".env";
    for (const Store store : part.stores) {
      const std::string& name = stores_.at(store);
      if (without_.contains(name)) continue;
      const StoreService& known = service_of(store);
      service.env.emplace_back(known.variable, filled(known.url, name));
      service.depends_on.push_back(name);
    }
  }

  void add_part(const Part& part) {
    const std::string folder = part.dir.empty() ? "" : last_of(part.dir);
    if (part.builder) {
      ServiceText service{.name = name_for(folder.empty() ? project_ : folder, "app")};
      service.path = part.dir.empty() ? "." : part.dir;
      service.builder = *part.builder;
      service.is_app = service.listens = true;
      add_surroundings(part, service);
      add(std::move(service), "built with buildpacks", in(part, "project.toml"));
      return;
    }
    std::vector<std::string> before;
    for (const bool once : {true, false})
      for (const Process& process : part.processes) {
        if (process.once != once) continue;
        const std::string wanted = folder.empty()          ? process.name
                                   : process.name == "web" ? folder
                                                           : folder + "-" + process.name;
        ServiceText service{
            .name = name_for(wanted, process.name == "web" ? "frontend" : "app-" + process.name)};
        service.command = process.command;
        service.workdir = part.dir;
        service.listens = process.listens;
        service.port = process.port;
        service.once = once;
        add_surroundings(part, service);
        service.depends_on.insert(service.depends_on.end(), before.begin(), before.end());
        const std::string name = service.name;
        add(std::move(service), process.command, from_text(part, process));
        if (once && !without_.contains(name)) before.push_back(name);
      }
  }

  /// "package.json: scripts.dev", "app/main.py", "Django".
  static std::string from_text(const Part& part, const Process& process) {
    if (process.from.starts_with("scripts.")) return in(part, "package.json: " + process.from);
    return in(part, process.from);
  }

  const std::set<std::string>& without_;
  std::string project_, database_;
  std::set<std::string> names_;
  std::map<Store, std::string> stores_;
  std::vector<ServiceText> services_;
  Proposal out_;
};

}  // namespace

Result<Proposal> propose(const Folder& folder, const std::set<std::string>& without) {
  return Proposer(folder, without).run(parts_of(folder));
}

}  // namespace locald::project::init
