#include <cstdlib>
#include <string>
#include <string_view>

#include "project/compose/interpolate.h"

/// Properties: a value is bounded; a text without $ is itself, and so is one whose every $ is
/// doubled; what is refused says why; where all variables are set none is missed.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald::project;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> unset;
  Lookup lookup;
  lookup.unset = &unset;
  lookup.variable = [](const std::string& name) -> std::optional<std::string> {
    if (name == "BIG") return std::string(100000, 'b');
    if (name == "E") return "";
    return name.size() % 2 == 0 ? std::optional("$" + name) : std::nullopt;
  };
  const auto value = compose::substitute(text, lookup);
  if (!value && value.error().message().empty()) std::abort();
  if (value && value->size() > compose::kMaxExpanded) std::abort();
  if (text.find('$') == std::string_view::npos && (!value || *value != text)) std::abort();
  unset.clear();
  std::string doubled;
  for (const char c : text) doubled += c == '$' ? std::string("$$") : std::string(1, c);
  const auto same = compose::substitute(doubled, lookup);
  if (!unset.empty() || (size < compose::kMaxExpanded && (!same || *same != text))) std::abort();
  lookup.variable = [](const std::string& name) { return std::optional(name); };
  (void)compose::substitute(text, lookup).has_value();
  if (!unset.empty()) std::abort();
  return 0;
}
