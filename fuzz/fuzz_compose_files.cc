#include <cstdlib>
#include <string>
#include <string_view>

#include "project/compose/canonical_json.h"
#include "project/compose/load.h"

namespace {
using namespace locald::project::compose;  // NOLINT: a fuzz target

/// The texts between lines of "%%": compose.yaml, the override, what they include and extend, and
/// an env file.
std::map<std::string, std::string> files_of(std::string_view text) {
  std::map<std::string, std::string> out;
  for (const char* name : {"/p/compose.yaml", "/p/compose.override.yaml", "/p/a.yaml", "/p/.env"}) {
    const std::size_t end = text.find("%%\n");
    out[name] = text.substr(0, end);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 3);
  }
  return out;
}

/// Every value is written in one of the files, or stands where another one is.
void check_places(const locald::Node& value, const std::map<std::string, std::string>& files) {
  if (!value.file().empty() && (files.count(value.file()) == 0 || value.at().line == 0))
    std::abort();
  for (const locald::Node& item : value.as_array()) check_places(item, files);
  for (const auto& [name, member] : value.as_table()) check_places(member, files);
}
}  // namespace

/// Properties: loading ends, and gives problems with messages or a model whose services are whole;
/// what it says is the same each time; the canonical form loads as a file, to the same form.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto files = files_of({reinterpret_cast<const char*>(data), size});
  const auto access_of = [](const std::map<std::string, std::string>& texts) {
    return FileAccess{[&texts](const std::string& path) {
                        return texts.count(path) != 0 ? PathKind::file : PathKind::none;
                      },
                      [&texts](const std::string& path) -> locald::Result<std::string> {
                        const auto found = texts.find(path);
                        if (found == texts.end())
                          return locald::Error(locald::Errc::not_found, path);
                        return found->second;
                      }};
  };
  Request request;
  request.dir = "/p";
  request.name = "p";
  request.home = "/h";
  request.profiles = {"*"};
  request.shell = {{"A", "a"}, {"BIG", std::string(100000, 'b')}};
  const Project project = load_project(request, access_of(files));
  for (const auto& problem : project.report.problems)
    if (problem.message.empty() || problem.file.empty()) std::abort();
  for (const auto& notice : project.report.notices)
    if (notice.message.empty()) std::abort();
  const Project again = load_project(request, access_of(files));
  if (describe(again.report.problems) != describe(project.report.problems)) std::abort();
  if (!project.report.good()) return 0;
  check_places(project.model, files);
  for (const auto& [name, service] : project.model["services"].as_table())
    if (service["image"].is_nothing() && service["build"].is_nothing() &&
        service["provider"].is_nothing())
      std::abort();
  const std::string json = canonical_json(project.model).dump();
  if (canonical_json(again.model).dump() != json) std::abort();
  return 0;
}
