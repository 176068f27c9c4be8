#include "project/compose/interpolate.h"

#include <fmt/format.h>

#include <optional>

#include "base/strings.h"

namespace locald::project::compose {
namespace {

constexpr int kMaxNested = 32;  // defaults within defaults

bool starts_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

std::size_t name_size(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && (starts_name(text[n]) || (n > 0 && text[n] >= '0' && text[n] <= '9')))
    ++n;
  return n;
}

Error bad_form(std::string_view form) {
  return Error(Errc::invalid_input, fmt::format("invalid variable \"{}\"", shortened(form, 80)))
      .with_hint(
          "${NAME}, ${NAME:-default}, ${NAME:?error} and ${NAME:+other} are known; a "
          "literal $ is written $$");
}

/// Where the `}` of the text stands, which begins with "${": the one that balances it, or the last
/// one; npos where there is none.
std::size_t closing_brace(std::string_view text) {
  int open = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '{') ++open;
    if (text[i] == '}' && --open == 0) return i;
  }
  return text.rfind('}');
}

class Expansion {
 public:
  explicit Expansion(const Lookup& lookup) : lookup_(lookup) {}

  Result<std::string> expand(std::string_view text, int nested) {
    if (nested > kMaxNested) return bad_form(text);
    std::string out;
    while (!text.empty()) {
      const std::size_t dollar = text.find('$');
      out += text.substr(0, dollar);
      if (dollar == std::string_view::npos) break;
      text.remove_prefix(dollar);
      if (text.starts_with("$$")) {
        out += '$';
        text.remove_prefix(2);
      } else if (text.starts_with("${")) {
        const std::size_t end = closing_brace(text);
        if (end == std::string_view::npos) return bad_form(text);
        out += TRY(braced(text.substr(0, end + 1), nested));
        text.remove_prefix(end + 1);
      } else if (const std::size_t n = name_size(text.substr(1)); n != 0) {
        out += value_of(std::string(text.substr(1, n)));
        text.remove_prefix(n + 1);
      } else {
        out += '$';
        text.remove_prefix(1);
      }
      if (out.size() > kMaxExpanded)
        return Error(Errc::invalid_input,
                     fmt::format("the value grows beyond {} KiB", kMaxExpanded >> 10));
    }
    return out;
  }

 private:
  std::optional<std::string> find(const std::string& name) const {
    return lookup_.variable ? lookup_.variable(name) : std::nullopt;
  }

  std::string value_of(const std::string& name) const {
    auto value = find(name);
    if (!value && lookup_.unset != nullptr) lookup_.unset->push_back(name);
    return std::move(value).value_or("");
  }

  Result<std::string> braced(std::string_view whole, int nested) {
    const std::string_view inner = whole.substr(2, whole.size() - 3);
    const std::size_t length = name_size(inner);
    if (length == 0) return bad_form(whole);
    const std::string name(inner.substr(0, length));
    std::string_view rest = inner.substr(length);
    if (rest.empty()) return value_of(name);
    const bool colon = rest.starts_with(':');
    if (colon) rest.remove_prefix(1);
    const char op = rest.empty() ? '\0' : rest[0];
    if (op != '-' && op != '+' && op != '?') return bad_form(whole);
    rest.remove_prefix(1);
    auto value = find(name);
    const bool present = value && !(colon && value->empty());
    if (op == '+') return present ? expand(rest, nested + 1) : Result<std::string>(std::string());
    if (present) return std::move(*value);
    std::string other = TRY(expand(rest, nested + 1));
    if (op == '-') return other;
    return Error(Errc::invalid_input, fmt::format("{} is not set{}{}", name,
                                                  other.empty() ? "" : ": ", shortened(other, 500)))
        .with_hint(fmt::format("set {} in the environment or in `.env`", name));
  }

  const Lookup& lookup_;
};

}  // namespace

Result<std::string> substitute(std::string_view text, const Lookup& lookup) {
  return Expansion(lookup).expand(text, 0);
}

}  // namespace locald::project::compose
