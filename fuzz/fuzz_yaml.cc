#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

#include "project/yaml/yaml.h"

namespace {
using locald::Node;

constexpr std::size_t kMaxNodes = 2000;
constexpr int kMaxDepth = 20;

/// @return how many nodes there are; every one lies in the text, and no key stands twice.
std::size_t check(const Node& value, unsigned lines, int depth) {
  if (depth > kMaxDepth || value.at().line == 0 || value.at().line > lines) std::abort();
  if (value.file() != "f.yaml" || value.is_date_time()) std::abort();
  std::size_t nodes = 1;
  for (const Node& item : value.as_array()) nodes += check(item, lines, depth + 1);
  std::set<std::string_view> keys;
  for (const auto& [name, member] : value.as_table()) {
    if (!keys.insert(name).second || member.key_at().line == 0) std::abort();
    nodes += check(member, lines, depth + 1);
  }
  return nodes;
}
}  // namespace

/// Properties: what parses is bounded, in depth and, with all aliases expanded, in size; each value
/// knows its place; no key stands twice; what does not parse says why.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald::project;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<YamlDocument> documents;
  const auto problem = parse_yaml(documents, text, "f.yaml", {1u << 20, kMaxDepth, kMaxNodes});
  if (problem && (problem->message.empty() || !documents.empty())) std::abort();
  const auto lines = static_cast<unsigned>(size) + 1;
  std::size_t nodes = 0;
  for (const YamlDocument& document : documents) {
    if (!document.root.is_nothing()) nodes += check(document.root, lines, 0);
    for (const YamlMark& mark : document.marks)
      if (mark.at.line == 0) std::abort();
  }
  if (nodes > kMaxNodes) std::abort();
  return 0;
}
