#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cnb/inputs/project_descriptor.h"
#include "cnb/source/path_filter.h"

using namespace locald::cnb;  // NOLINT: a fuzz target

namespace {
void check(bool ok) {
  if (!ok) std::abort();
}

std::vector<std::string> texts(const std::vector<PlacedText>& words) {
  std::vector<std::string> out;
  for (const PlacedText& w : words) out.push_back(w.text);
  return out;
}
}  // namespace

/// Properties: every problem and warning stands on a line of the file; a descriptor without
/// problems keeps what its header promises, and its patterns make a filter.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ParsedDescriptor parsed = parse_project_descriptor(text, "/nonexistent/project.toml");
  unsigned lines = 1;
  for (const char c : text) lines += c == '\n' ? 1 : 0;
  const ProjectDescriptor& d = parsed.descriptor;
  for (const auto* found : {&parsed.problems, &d.warnings})
    for (const auto& p : *found) check(p.at.line <= lines && !p.message.empty());
  if (!parsed.problems.empty()) return 0;

  check(d.schema == "0.1" || d.schema == "0.2" || d.schema == "0.3");
  check(d.include.empty() || d.exclude.empty());
  const auto filter =
      PathFilter::include(texts(d.include)).without(texts(d.exclude)).without(never_sent());
  check(!filter.keeps(".git", true));
  int orders = 0;
  for (const auto* group : {&d.groups, &d.pre, &d.post}) {
    for (const BuildpackEntry& e : *group) {
      check(!e.id.empty() || e.uri);
      check(e.id.empty() || check_buildpack_id(e.id));
      check((e.uri ? 1 : 0) + (e.script ? 1 : 0) + (e.version.empty() ? 0 : 1) <= 1);
      check(!e.script || (!e.script->api.empty() && e.script->shell.starts_with('/')));
      check(e.exec_env.empty() || d.schema == "0.3");
      if (!e.uri) continue;
      orders += std::holds_alternative<BuilderOrder>(*e.uri) ? 1 : 0;
      if (const auto* bare = std::get_if<BareName>(&*e.uri))
        for (const bool exists : {true, false})
          if (const auto settled = settle(*bare, exists, false))
            check(!std::holds_alternative<BareName>(*settled));
    }
  }
  check(orders <= 1);
  for (const BuildVariable& v : d.build_env)
    check(!v.name.empty() && v.name.find('=') == std::string::npos);
  if (const auto source = d.source()) check(source->is_object());
  return 0;
}
