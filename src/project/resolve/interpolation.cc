#include "project/resolve/interpolation.h"

#include <fmt/format.h>

namespace locald::project {
namespace {

constexpr int kMaxDepth = 16;  // of defaults within defaults

bool name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool name_char(char c) { return name_start(c) || (c >= '0' && c <= '9'); }

std::size_t name_length(std::string_view text) {
  if (text.empty() || !name_start(text[0])) return 0;
  std::size_t n = 1;
  while (n < text.size() && name_char(text[n])) ++n;
  return n;
}

Error bad(std::string_view what, std::string_view why) {
  return Error(Errc::invalid_input, fmt::format("\"{}\": {}", what.substr(0, 80), why))
      .with_hint("a literal $ is written $$");
}

/// Appends; what grows beyond the limit is refused before it has grown.
Result<void> append(std::string& out, std::string_view more) {
  if (more.size() > kMaxValue - out.size())
    return Error(Errc::invalid_input, fmt::format("the value grows beyond {} KiB", kMaxWord >> 10))
        .with_hint("no process can be given more in one word or variable: pass the name of a file");
  out += more;
  return {};
}

/// The text between "${" and its "}", with nested ones skipped.
Result<std::string_view> braced(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '$' && i + 1 < text.size() && text[i + 1] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return text.substr(2, i - 2);
  }
  return bad(text.substr(0, 40), "the ${ has no }");
}

Result<std::string> expand(std::string_view text, const Lookup& lookup, int depth);

Lookup without_variables(const Lookup& lookup) {
  Lookup out = lookup;
  out.variable = [](const std::string&) { return std::optional<std::string>("x"); };
  out.unset = nullptr;
  return out;
}

Result<std::string> expand_service(std::string_view inner, const Lookup& lookup) {
  const std::string whole = fmt::format("${{{}}}", inner);
  if (!lookup.service) return bad(whole, "services cannot be referred to here");
  inner.remove_prefix(std::string_view("services.").size());
  const std::size_t dot = inner.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return bad(whole, "write ${services.NAME.port}");
  const std::string_view field = inner.substr(dot + 1);
  if (field != "host" && field != "port" && field != "url")
    return bad(whole, "a service has host, port and url");
  return lookup.service(std::string(inner.substr(0, dot)), std::string(field));
}

Result<std::string> expand_braced(std::string_view inner, const Lookup& lookup, int depth) {
  if (inner.starts_with("services.")) return expand_service(inner, lookup);
  const std::string whole = fmt::format("${{{}}}", inner);
  const std::size_t length = name_length(inner);
  if (length == 0) return bad(whole, "this is not the name of a variable");
  const std::string name(inner.substr(0, length));
  std::string_view rest = inner.substr(length);
  const bool colon = rest.starts_with(':');
  if (colon) rest.remove_prefix(1);
  std::optional<std::string> value = lookup.variable ? lookup.variable(name) : std::nullopt;
  if (rest.empty()) {
    if (colon) return bad(whole, "something is missing after the colon");
    if (!value && lookup.unset != nullptr) lookup.unset->push_back(name);
    return std::move(value).value_or("");
  }
  const bool present = value && !(colon && value->empty());
  const char op = rest[0];
  // What is not taken is expanded too, so that a bad form is found before it bites; but with
  // nothing looked up: no variable is missed there.
  std::string other;
  if (present == (op == '+'))
    other = TRY(expand(rest.substr(1), lookup, depth + 1));
  else
    (void)TRY(expand(rest.substr(1), without_variables(lookup), depth + 1));
  switch (op) {
    case '-':
      return present ? *value : other;
    case '+':
      return present ? other : std::string();
    case '?':
      if (present) return *value;
      return Error(Errc::invalid_input,
                   fmt::format("{} is not set{}{}", name, other.empty() ? "" : ": ",
                               other.substr(0, 1000)))
          .with_hint(fmt::format("set {} in the environment of `locald up`", name));
    default:
      return bad(whole, "after the name only :-default, :?error or :+other may stand");
  }
}

Result<std::string> expand(std::string_view text, const Lookup& lookup, int depth) {
  if (depth > kMaxDepth) return bad(text.substr(0, 40), "too many ${ in each other");
  std::string out;
  while (!text.empty()) {
    const std::size_t dollar = text.find('$');
    TRY(append(out, text.substr(0, dollar)));
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar);
    if (text.starts_with("$$")) {
      TRY(append(out, "$"));
      text.remove_prefix(2);
    } else if (text.starts_with("${")) {
      const std::string_view inner = TRY(braced(text));
      TRY(append(out, TRY(expand_braced(inner, lookup, depth))));
      text.remove_prefix(inner.size() + 3);
    } else if (const std::size_t n = lookup.bare ? name_length(text.substr(1)) : 0; n != 0) {
      TRY(append(out, TRY(expand_braced(text.substr(1, n), lookup, depth))));
      text.remove_prefix(n + 1);
    } else {
      TRY(append(out, "$"));
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace

Result<void> check_word(std::string_view name, std::string_view value) {
  const auto bad = [&](std::string why) {
    return Error(Errc::invalid_input,
                 name.empty() ? std::move(why) : fmt::format("{}: {}", name.substr(0, 80), why));
  };
  if (value.find('\0') != std::string_view::npos)
    return bad("the value contains a NUL byte").with_hint("no process can be given one: remove it");
  const std::size_t beside = name.empty() ? 1 : name.size() + 2;
  if (value.size() + beside > kMaxWord)
    return bad(fmt::format("the value is longer than {} bytes", kMaxWord - beside))
        .with_hint("no process can be given more in one word: pass the name of a file");
  return {};
}

Result<std::string> interpolate(std::string_view text, const Lookup& lookup) {
  return expand(text, lookup, 0);
}

Result<std::vector<Reference>> service_references(std::string_view text) {
  std::vector<Reference> found;
  Lookup lookup;
  // Any value satisfies :? here; what the variable really holds is a question for `up`.
  lookup.variable = [](const std::string&) { return std::optional<std::string>("x"); };
  lookup.service = [&](const std::string& service,
                       const std::string& field) -> Result<std::string> {
    found.push_back({service, field});
    return std::string();
  };
  (void)TRY(interpolate(text, lookup));
  return found;
}

}  // namespace locald::project
