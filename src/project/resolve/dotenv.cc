#include "project/resolve/dotenv.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/strings.h"

namespace locald::project {
namespace {

/// Walks the text and knows the line it is on. CR LF is one end of a line wherever it stands, so
/// that no caller sees that CR.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) { skip_cr(); }
  bool done() const { return rest_.empty(); }
  char peek() const { return rest_[0]; }
  unsigned line() const { return line_; }
  char take() {
    const char c = rest_[0];
    skip(1);
    if (c == '\n') ++line_;
    return c;
  }
  void skip_blanks() {
    while (!done() && (peek() == ' ' || peek() == '\t' || peek() == '\r')) take();
  }
  std::string_view take_line() {
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    skip(end == std::string_view::npos ? rest_.size() : end + 1);
    if (end != std::string_view::npos) ++line_;
    if (end != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }
  bool take_word(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    skip(word.size());
    return true;
  }

 private:
  void skip(std::size_t n) {
    rest_.remove_prefix(n);
    skip_cr();
  }
  void skip_cr() {
    if (rest_.starts_with("\r\n")) rest_.remove_prefix(1);
  }

  std::string_view rest_;
  unsigned line_ = 1;
};

constexpr std::size_t kEntryRoom = 16;  // bytes that an entry counts beside its text

struct Value {
  std::string text;
  bool expand = true;
};

Result<Value> single_quoted(Cursor& in) {
  Value value{{}, false};
  while (!in.done()) {
    const char c = in.take();
    if (c == '\'') return value;
    if (c == '\\' && !in.done() && in.peek() == '\'')
      value.text += in.take();
    else
      value.text += c;
  }
  return Error(Errc::invalid_input, "the ' is not closed");
}

/// Those that compose knows beside the ones of double_quoted().
bool more_escapes(char c, Cursor& in, std::string& out) {
  constexpr std::string_view kNames = "abfv", kCharacters = "\a\b\f\v";
  if (const std::size_t i = kNames.find(c); i != std::string_view::npos) {
    out += kCharacters[i];
    return true;
  }
  if (c != '0') return false;
  unsigned number = 0;
  int digits = 0;
  std::string text = "\\0";
  for (; digits < 3 && !in.done() && in.peek() >= '0' && in.peek() <= '7'; ++digits) {
    number = number * 8 + static_cast<unsigned>(in.peek() - '0');
    text += in.take();
  }
  // Three digits are a byte; fewer are none.
  if (digits == 3 && number < 0x80)
    out += static_cast<char>(number);
  else
    out += text;
  return true;
}

/// Escapes are undone here, but a `\$` must survive the interpolation that follows: it becomes
/// `$$`.
Result<Value> double_quoted(Cursor& in, bool compose) {
  Value value;
  while (!in.done()) {
    const char c = in.take();
    if (c == '"') return value;
    if (c != '\\' || in.done()) {
      value.text += c;
      continue;
    }
    switch (const char e = in.take()) {
      case 'n':
        value.text += '\n';
        break;
      case 'r':
        value.text += '\r';
        break;
      case 't':
        value.text += '\t';
        break;
      case '\\':
        value.text += '\\';
        break;
      case '"':
        value.text += '"';
        break;
      case '$':
        value.text += "$$";
        break;
      default:
        if (compose && more_escapes(e, in, value.text)) break;
        value.text += '\\';
        value.text += e;
    }
  }
  return Error(Errc::invalid_input, "the \" is not closed");
}

Value unquoted(std::string_view line, bool compose) {
  // "a#b" is all value, "a #b" is a value and a comment.
  for (std::size_t i = compose ? 1 : 0; i < line.size(); ++i)
    if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || (line[i - 1] == '\t' && !compose))) {
      line = line.substr(0, i);
      break;
    }
  return {std::string(trim(line)), true};
}

/// Of what stands in a file, for a message.
std::string_view shown(std::string_view text) { return trim(text).substr(0, 60); }

bool key_char(char c, bool compose) {
  if (compose && (c == '[' || c == ']' || static_cast<unsigned char>(c) >= 0x80)) return true;
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

}  // namespace

std::vector<DotenvEntry> parse_dotenv(std::string_view text, const std::string& file,
                                      const FindVariable& environment, Problems& problems,
                                      std::size_t* room, const FindVariable& otherwise,
                                      const DotenvDialect& dialect) {
  const std::size_t enough = problems.size() + kMaxProblems;
  std::size_t own_room = kMaxServiceText;
  if (room == nullptr) room = &own_room;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // an editor's byte order mark
  std::vector<DotenvEntry> entries;
  std::map<std::string, std::string> earlier;
  std::vector<std::string> vanished, read;
  Lookup lookup;
  lookup.bare = true;
  lookup.unset = &vanished;
  lookup.variable = [&](const std::string& name) -> std::optional<std::string> {
    read.push_back(name);
    if (auto value = environment ? environment(name) : std::nullopt) return value;
    if (const auto it = earlier.find(name); it != earlier.end()) return it->second;
    return otherwise ? otherwise(name) : std::nullopt;
  };

  Cursor in(text);
  while (!in.done() && problems.size() < enough) {
    in.skip_blanks();
    if (in.done()) break;
    if (in.peek() == '\n' || in.peek() == '#') {
      in.take_line();
      continue;
    }
    const unsigned line = in.line();
    const auto problem = [&](const Error& error) {
      problems.push_back({file, {line, 1}, error.message(), error.hint()});
    };
    // Each entry takes room, also an empty one: they are many, or long.
    const auto add = [&](std::string&& key, std::optional<std::string> value) {
      const std::size_t bytes = key.size() + (value ? value->size() : 0) + kEntryRoom;
      if (bytes > *room) {
        *room = 0;
        problem(Error(Errc::invalid_input,
                      fmt::format("{}: the variables of a service grow beyond {} MiB", shown(key),
                                  kMaxServiceText >> 20))
                    .with_hint("no process can be given more: pass the name of a file"));
        return false;
      }
      *room -= bytes;
      entries.push_back({std::move(key), std::move(value), line, std::exchange(vanished, {}),
                         std::exchange(read, {})});
      return true;
    };
    vanished.clear();
    read.clear();
    if (in.take_word("export ") || in.take_word("export\t")) in.skip_blanks();
    std::string name;
    while (!in.done() && key_char(in.peek(), dialect.compose)) name += in.take();
    in.skip_blanks();
    if (name.empty() || (!dialect.compose && name[0] >= '0' && name[0] <= '9')) {
      problem(Error(Errc::invalid_input,
                    fmt::format("\"{}\" is not NAME=VALUE", shown(in.take_line()))));
      continue;
    }
    if (in.done() || in.peek() == '\n' || in.peek() == '#') {
      in.take_line();
      auto inherited = environment ? environment(name) : std::nullopt;
      if (!inherited && otherwise) inherited = otherwise(name);
      if (!add(std::move(name), std::move(inherited))) return entries;
      continue;
    }
    if (in.peek() != '=' && in.peek() != ':') {
      in.take_line();
      problem(Error(Errc::invalid_input, fmt::format("{}: a = is expected after the name", name)));
      continue;
    }
    in.take();
    in.skip_blanks();
    Result<Value> value = Value{};
    if (!in.done() && (in.peek() == '"' || in.peek() == '\'')) {
      value = in.take() == '"' ? double_quoted(in, dialect.compose) : single_quoted(in);
      if (value) {
        const std::string_view after = trim(in.done() ? std::string_view() : in.take_line());
        if (!after.empty() && after[0] != '#')
          value = Error(Errc::invalid_input,
                        fmt::format("{}: \"{}\" after the closing quote", name, shown(after)));
      }
    } else {
      value = unquoted(in.done() ? std::string_view() : in.take_line(), dialect.compose);
    }
    if (value) {  // one that nothing expands, too
      auto fits = check_word(name, value->text);
      if (!fits) value = std::move(fits).error();
    }
    if (!value) {
      problem(value.error());
      continue;
    }
    if (value->expand) {
      auto expanded =
          dialect.expand ? dialect.expand(value->text, lookup) : interpolate(value->text, lookup);
      if (!expanded) {
        problem(Error(expanded.error()).with_context(shown(name)));
        continue;
      }
      value->text = std::move(*expanded);
      if (auto fits = check_word(name, value->text); !fits) {
        problem(fits.error());
        continue;
      }
    }
    earlier[name] = value->text;
    if (!add(std::move(name), std::move(value->text))) return entries;
  }
  return entries;
}

}  // namespace locald::project
