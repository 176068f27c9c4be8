// Files that are of no language: Procfile, project.toml, Dockerfile, compose files, pages.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/node/toml.h"
#include "base/strings.h"
#include "project/init/part.h"

namespace locald::project::init {

namespace {

/// Bytes that no text has: a terminal might obey them.
bool is_text(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    char32_t rune = 0;
    const std::size_t size = utf8_sequence(text.substr(at), rune);
    if (size == 0 || rune == 0x7f || (rune >= 0x80 && rune < 0xa0) ||
        (rune < 0x20 && rune != '\t' && rune != '\n' && rune != '\r'))
      return false;
    at += size;
  }
  return true;
}

}  // namespace

void pass_over(const std::string& file, const Error& why, Part& part) {
  const std::string& said = why.message();
  part.notes.push_back((said.starts_with(file + ":") ? said : file + ": " + said) +
                       "; the file is passed over");
}

void find_procfile(const Place& place, Part& part) {
  const char* file = place.has("Procfile.dev") ? "Procfile.dev" : "Procfile";
  const auto text = place.read(file);
  if (!text) return;
  if (!is_text(*text))
    return pass_over(file, Error(Errc::invalid_input, "not a text in UTF-8"), part);
  part.files.emplace_back(file);
  part.env_file = place.has(".env");
  std::map<std::string, int> lines;  // of each name
  int number = 0;
  for (const std::string& line : split(*text, '\n')) {
    ++number;
    const std::string_view words = trim(line);
    const std::size_t colon = words.find(':');
    if (words.starts_with('#') || colon == std::string_view::npos) continue;
    Process process{.name = std::string(trim(words.substr(0, colon))),
                    .command = std::string(trim(words.substr(colon + 1))),
                    .from = file};
    if (process.name.empty() || process.command.empty()) continue;
    const auto [first, fresh] = lines.emplace(process.name, number);
    if (!fresh) {
      part.notes.push_back(
          fmt::format("{}:{}: \"{}\" stands in line {} already; this one is left out", file, number,
                      process.name, first->second));
      continue;
    }
    // Heroku's: before each deploy, to its end.
    process.once = process.name == "release";
    process.listens = asks_for_port(process.command);
    if (!process.listens) process.port = port_in_command(" " + process.command);
    if (process.name == "web" && process.port == 0) process.listens = true;
    part.processes.push_back(std::move(process));
  }
}

void find_builds(const Place& place, Part& part) {
  if (const auto text = place.read("project.toml")) {
    const auto doc = parse_toml(*text, "project.toml");
    if (!doc) pass_over("project.toml", doc.error(), part);
    if (doc && (doc->contains("_") || doc->contains("project") || doc->contains("io"))) {
      part.files.emplace_back("project.toml");
      const bool named = !(*doc)["io"]["buildpacks"]["builder"].as_string().empty() ||
                         !(*doc)["build"]["builder"].as_string().empty();
      part.builder = named ? "" : "paketobuildpacks/builder-jammy-base";
    }
  }
  for (const std::string& name : place.names()) {
    if (name == "Dockerfile" || name == "Containerfile")
      part.notes.push_back(
          name +
          ": locald does not build it; an image that `buildah build` makes of it can be run, as "
          "image = \"oci-archive:FILE\" of a service.");
    const bool compose = name == "compose.yaml" || name == "compose.yml" ||
                         name == "docker-compose.yaml" || name == "docker-compose.yml";
    if (compose)
      part.notes.push_back(
          name +
          ": `locald up` runs it as it is while there is no locald.toml beside it, which takes its "
          "place; each of its images can be a service here: image = \"NAME\".");
  }
}

void find_pages(const Place& place, Part& part) {
  if (!part.processes.empty() || !place.has("index.html")) return;
  part.files.emplace_back("index.html");
  part.processes.push_back({.name = "web",
                            .command = "python3 -m http.server --bind localhost $PORT",
                            .from = "index.html",
                            .listens = true});
}

}  // namespace locald::project::init
