#pragma once
#include <map>
#include <string>

#include "base/strings.h"
#include "project/compose/canonical_json.h"
#include "project/compose/load.h"

/// Projects whose files are in memory, for tests.
namespace locald::project::compose {

struct Files {
  std::map<std::string, std::string> texts;  ///< by absolute path

  FileAccess access() const {
    return {[this](const std::string& path) {
              if (texts.count(path) != 0) return PathKind::file;
              const auto below = texts.lower_bound(path + "/");
              const bool folder = below != texts.end() && below->first.starts_with(path + "/");
              return folder ? PathKind::folder : PathKind::none;
            },
            [this](const std::string& path) -> Result<std::string> {
              const auto found = texts.find(path);
              if (found == texts.end()) return Error(Errc::not_found, path + " does not exist");
              return found->second;
            }};
  }
};

inline Request request_of(const std::string& dir = "/p") {
  Request out;
  out.dir = dir;
  out.home = "/home/u";
  return out;
}

/// Of the files, `/p/compose.yaml` first.
inline Project load(const Files& files, Request request = request_of()) {
  return load_project(request, files.access());
}
inline Project load(const std::string& text, Request request = request_of()) {
  return load(Files{{{"/p/compose.yaml", text}}}, std::move(request));
}

inline std::string problems(const Project& project) { return describe(project.report.problems); }
inline std::string notices(const Project& project) { return describe(project.report.notices); }

/// The part of the canonical JSON at `path`: "services/web/ports". What is wrong where it is.
inline std::string at(const Project& project, const std::string& path) {
  if (!project.report.good()) return problems(project);
  Json value = canonical_json(project.model);
  for (const std::string& key : split(path, '/')) value = Json(value[key]);
  return value.dump();
}

/// One service `a` of an image, and `body` below it (flow style).
inline Project service(const std::string& body, Request request = request_of()) {
  return load("services: {a: {image: x, " + body + "}}", std::move(request));
}
/// The member `key` of that service.
inline std::string member(const std::string& body, const std::string& key) {
  return at(service(body), "services/a/" + key);
}
/// What is wrong with it; "" for nothing.
inline std::string wrong(const std::string& body) { return problems(service(body)); }

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace locald::project::compose
