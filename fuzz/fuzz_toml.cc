#include <cstdlib>
#include <string>
#include <string_view>

#include "base/node/toml.h"

using locald::Json;
using locald::Node;
using locald::parse_toml;
using locald::write_toml;

namespace {
void check(bool ok) {
  if (!ok) std::abort();
}

/// Every place lies in the text, and every node knows its file.
void check_places(const Node& value, unsigned lines) {
  check(value.at().line <= lines && value.file() == "f.toml");
  for (const Node& item : value.as_array()) check_places(item, lines);
  for (const auto& [name, member] : value.as_table()) check_places(member, lines);
}
}  // namespace

/// Properties: what parses is written as a text that parses to an equal value and is written the
/// same again, sorted or not; what JSON can hold survives it.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto doc = parse_toml(text, "f.toml");
  if (!doc) {
    check(doc.error().message().starts_with("f.toml"));
    return 0;
  }
  unsigned lines = 1;
  for (const char c : text) lines += c == '\n' ? 1 : 0;
  check_places(*doc, lines);
  for (const Node& value : {*doc, doc->sorted()}) {
    const auto written = write_toml(value);
    check(written.has_value());
    const auto again = parse_toml(*written, "f.toml", {.max_bytes = 1u << 30});
    check(again && *again == *doc);
  }
  const std::string sorted = *write_toml(doc->sorted());
  check(*write_toml(parse_toml(sorted, "f.toml", {.max_bytes = 1u << 30})->sorted()) == sorted);

  const auto json = doc->to_json();
  if (!json) return 0;
  const auto read = Json::parse(json->dump(), {.reject_duplicates = false});
  check(read &&
        Node::from_json(*read).as_json_numbers() == Node::from_json(*json).as_json_numbers());
  return 0;
}
