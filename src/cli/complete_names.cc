// Completion's names: of the project's file, and of the server where one runs.
#include <algorithm>
#include <array>

#include "base/node/toml.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "cli/complete.h"
#include "cli/context.h"
#include "cli/print.h"
#include "ipc/messages/container.h"
#include "ipc/messages/image.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

constexpr const char* kFile = "locald.toml";

/// The nearest project file from `dir` upward; "" where there is none.
std::string project_file_of(std::string dir) {
  for (;; dir.resize(dir.rfind('/'))) {
    if (exists(dir + "/" + kFile)) return dir + "/" + kFile;
    if (dir.empty()) return {};
  }
}

/// The services of a file, also while nothing runs and while it is being edited: what can be read.
std::vector<std::string> services_in(const std::string& path) {
  std::vector<std::string> out;
  const auto text = read_file(path, 1u << 20);
  const auto file = text ? parse_toml(*text, path) : text.error();
  if (!file) return out;
  for (const auto& [name, table] : (*file)["services"].as_table()) {
    out.push_back(name);
    const Node& processes = table["processes"];
    for (const std::string& type : processes.as_strings()) out.push_back(name + "/" + type);
    for (const auto& [type, fields] : processes.as_table()) out.push_back(name + "/" + type);
  }
  return out;
}

/// The reply of a server that runs; nothing where none does.
template <class R>
std::optional<typename R::Reply> of_server(const Context& context, const R& request) {
  auto paths = context.paths();
  if (!paths) return std::nullopt;
  auto client = ipc::Client::connect(*paths, {.start = false, .notice = {}, .any_version = true});
  if (!client) return std::nullopt;
  auto reply = client->ask(request);
  return reply ? std::optional(std::move(*reply)) : std::nullopt;
}

/// The folder and file that options before the verb name.
struct Place {
  std::string dir, file;
};
Place place_of(const std::vector<std::string>& words) {
  Place out{working_dir().value_or("/"), ""};
  const auto absolute = [&](const std::string& path) {
    return path.starts_with("/") ? path : out.dir + "/" + path;
  };
  for (std::size_t i = 0; i + 1 < words.size() && words[i].starts_with("-"); i += 2) {
    if (words[i] == "-C") out.dir = absolute(words[i + 1]);
    if (words[i] == "-f") out.file = absolute(words[i + 1]);
  }
  return out;
}

Names names_of(const Context& context, const std::vector<std::string>& words) {
  Names names;
  names.services = [context, words] {
    const Place place = place_of(words);
    const std::string file = place.file.empty() ? project_file_of(place.dir) : place.file;
    if (file.ends_with(".toml")) return services_in(file);
    // Other files, of which there are many forms, a server reads.
    std::vector<std::string> out;
    const std::optional<std::string> named =
        place.file.empty() ? std::nullopt : std::optional(place.file);
    if (const auto reply = of_server(
            context,
            ipc::StatusRequest{.project = ipc::ProjectPlace{place.dir, named, {}, environment()}}))
      if (reply->services)
        for (const ipc::ServiceStatus& service : *reply->services) out.push_back(service.name);
    return out;
  };
  names.containers = [context] {
    std::vector<std::string> out;
    if (const auto reply = of_server(context, ipc::ContainerListRequest{}))
      for (const ipc::ContainerStatus& c : reply->containers) out.push_back(c.name.value_or(c.id));
    return out;
  };
  names.images = [context] {
    std::vector<std::string> out;
    if (const auto reply = of_server(context, ipc::ImageListRequest{}))
      for (const ipc::ImageEntry& image : reply->images) {
        // As people write it, who leave out what is understood.
        std::string name = image.name;
        for (const char* understood : {"docker.io/library/", "docker.io/"})
          if (name.starts_with(understood)) name.erase(0, std::string_view(understood).size());
        out.push_back(std::move(name));
      }
    return out;
  };
  names.projects = [context] {
    std::vector<std::string> out;
    if (const auto reply = of_server(context, ipc::ProjectListRequest{}))
      for (const ipc::KnownProject& project : reply->projects) out.push_back(project.name);
    return out;
  };
  return names;
}

/// What bash replaces: it takes a colon for the end of a word.
std::string after_colon(const std::string& word, const std::string& typed) {
  const std::size_t colon = typed.rfind(':');
  return colon == std::string::npos ? word : word.substr(colon + 1);
}

}  // namespace

int print_candidates(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2) return 2;
  const std::string& shell = arguments[0];
  // bash gives the line up to the cursor, which it would have cut at colons; the others words.
  std::vector<std::string> words = shell == "bash"
                                       ? words_of_line(arguments[1])
                                       : std::vector(arguments.begin() + 1, arguments.end());
  words.erase(words.begin());  // "locald"
  if (words.empty()) words.emplace_back();
  const Context context;
  const Candidates found = complete(words, names_of(context, words));
  std::string text;
  if (found.files) text += ":files\n";
  for (const Candidate& candidate : found.words) {
    if (shell == "bash") {
      text += after_colon(candidate.word, words.back()) + "\n";
    } else if (shell == "zsh") {  // what is explained stands behind a colon
      for (const char c : candidate.word) text += c == ':' ? std::string("\\:") : std::string(1, c);
      text += (candidate.text.empty() ? "" : ":" + candidate.text) + "\n";
    } else {
      text += candidate.word + (candidate.text.empty() ? "" : "\t" + candidate.text) + "\n";
    }
  }
  return out(text) ? 0 : 1;
}

}  // namespace locald::cli
