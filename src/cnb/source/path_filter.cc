#include "cnb/source/path_filter.h"

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <utility>

#include "base/strings.h"

namespace locald::cnb {
namespace {

using ByteSet = std::bitset<256>;

std::size_t index_of(char c) { return static_cast<unsigned char>(c); }

/// One place of a name.
struct Token {
  enum class Kind : std::uint8_t { literal, any, star, set };
  Kind kind = Kind::literal;
  char byte = 0;
  ByteSet set;

  bool matches(char c) const {
    return kind == Kind::any || (kind == Kind::literal ? c == byte : set[index_of(c)]);
  }
};

/// One name of a pattern, between slashes.
struct Segment {
  bool globstar = false;  // any number of names
  std::vector<Token> tokens;

  /// With one star remembered instead of a recursion for each: what stands between two stars may
  /// be found at its first place, a later one is never better.
  bool matches(std::string_view name) const {
    constexpr auto kNone = static_cast<std::size_t>(-1);
    std::size_t at = 0, token = 0, star = kNone, star_at = 0;
    while (at < name.size()) {
      if (token < tokens.size() && tokens[token].kind == Token::Kind::star) {
        star = token++;
        star_at = at;
      } else if (token < tokens.size() && tokens[token].matches(name[at])) {
        ++token;
        ++at;
      } else if (star != kNone) {
        token = star + 1;
        at = ++star_at;
      } else {
        return false;
      }
    }
    while (token < tokens.size() && tokens[token].kind == Token::Kind::star) ++token;
    return token == tokens.size();
  }
};

/// The bytes of "[:NAME:]"; false for a name that git does not know.
bool add_class(std::string_view name, ByteSet& set) {
  const auto add = [&](auto&& is_in) {
    for (int c = 0; c < 128; ++c)
      if (is_in(c)) set.set(static_cast<std::size_t>(c));
    return true;
  };
  const auto digit = [](int c) { return c >= '0' && c <= '9'; };
  const auto lower = [](int c) { return c >= 'a' && c <= 'z'; };
  const auto upper = [](int c) { return c >= 'A' && c <= 'Z'; };
  const auto alnum = [&](int c) { return digit(c) || lower(c) || upper(c); };
  const auto graph = [](int c) { return c > ' ' && c < 0x7f; };
  if (name == "alnum") return add(alnum);
  if (name == "alpha") return add([&](int c) { return lower(c) || upper(c); });
  if (name == "blank") return add([](int c) { return c == ' ' || c == '\t'; });
  if (name == "cntrl") return add([](int c) { return c < ' ' || c == 0x7f; });
  if (name == "digit") return add(digit);
  if (name == "graph") return add(graph);
  if (name == "lower") return add(lower);
  if (name == "print") return add([](int c) { return c >= ' ' && c < 0x7f; });
  if (name == "punct") return add([&](int c) { return graph(c) && !alnum(c); });
  if (name == "space")
    return add([](int c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; });
  if (name == "upper") return add(upper);
  if (name == "xdigit")
    return add([&](int c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); });
  return false;
}

/// Reads the set that begins behind text[i] == '['; `i` is then at its ']'.
/// @return false where it is not closed, or names a class that is none.
bool read_set(std::string_view text, std::size_t& i, ByteSet& set) {
  ++i;
  const bool negated = i < text.size() && (text[i] == '!' || text[i] == '^');
  if (negated) ++i;
  int before = -1;  // what a '-' would make a range from
  for (bool first = true;; first = false, ++i) {
    if (i >= text.size()) return false;
    if (text[i] == ']' && !first) break;
    if (text[i] == '-' && before >= 0 && i + 1 < text.size() && text[i + 1] != ']') {
      ++i;
      if (text[i] == '\\' && ++i >= text.size()) return false;
      for (std::size_t c = static_cast<std::size_t>(before); c <= index_of(text[i]); ++c)
        set.set(c);
      before = -1;
      continue;
    }
    if (text[i] == '[' && text.substr(i + 1).starts_with(':')) {
      const std::size_t end = text.find(']', i + 2);
      if (end == std::string_view::npos) return false;
      if (end > i + 2 && text[end - 1] == ':') {
        if (!add_class(text.substr(i + 2, end - i - 3), set)) return false;
        i = end;
        before = -1;
        continue;
      }
    }
    if (text[i] == '\\' && ++i >= text.size()) return false;
    set.set(index_of(text[i]));
    before = static_cast<int>(index_of(text[i]));
  }
  if (negated) set.flip();
  return true;
}

/// The pattern cut at its slashes, those in sets left out of account.
/// @return false for what can match nothing.
bool read_segments(std::string_view text, bool is_path, std::vector<Segment>& out) {
  out.emplace_back();
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    Segment& segment = out.back();
    const std::size_t end = i;
    if (text.substr(i).starts_with("\\/")) ++i;  // a slash has no other meaning to take away
    if (i == text.size() || text[i] == '/') {
      if (end == start) return false;  // an empty name
      // "**" is special as a whole name only; "a**" is "a*".
      segment.globstar = is_path && end - start >= 2 &&
                         text.substr(start, end - start).find_first_not_of('*') == text.npos;
      if (i == text.size()) return true;
      start = i + 1;
      out.emplace_back();
      continue;
    }
    Token token;
    if (text[i] == '*') {
      token.kind = Token::Kind::star;
    } else if (text[i] == '?') {
      token.kind = Token::Kind::any;
    } else if (text[i] == '[') {
      token.kind = Token::Kind::set;
      if (!read_set(text, i, token.set)) return false;
    } else {
      if (text[i] == '\\' && ++i == text.size()) return false;
      token.byte = text[i];
    }
    segment.tokens.push_back(token);
  }
  return true;
}

/// Without the blanks at the end that no backslash keeps.
std::string_view without_blanks(std::string_view line) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == ' ') continue;
    if (line[i] == '\\') ++i;
    end = i + 1;
  }
  return line.substr(0, end);
}

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == path.npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

}  // namespace

struct PathFilter::Pattern {
  bool negated = false;
  bool folders_only = false;
  bool is_path = false;           // from the root; else a name at any depth
  std::vector<Segment> segments;  // one where !is_path

  /// Does it match the first `count` parts, which are a folder or not?
  bool matches(const Parts& parts, std::size_t count, bool is_dir) const {
    if (folders_only && !is_dir) return false;
    if (!is_path) return segments[0].matches(parts[count - 1]);
    constexpr auto kNone = static_cast<std::size_t>(-1);
    std::size_t part = 0, segment = 0, star = kNone, star_part = 0;
    while (part < count) {  // as Segment::matches(), with names for bytes
      if (segment < segments.size() && segments[segment].globstar) {
        if (segment + 1 == segments.size()) return true;
        star = segment++;
        star_part = part;
      } else if (segment < segments.size() && segments[segment].matches(parts[part])) {
        ++segment;
        ++part;
      } else if (star != kNone) {
        segment = star + 1;
        part = ++star_part;
      } else {
        return false;
      }
    }
    return segment == segments.size();
  }

  /// Does it match the path or a folder above it?
  bool reaches(const Parts& parts, bool is_dir) const {
    for (std::size_t count = 1; count <= parts.size(); ++count)
      if (matches(parts, count, is_dir || count < parts.size())) return true;
    return false;
  }

  /// Could it match something below this folder, which it does not match itself?
  bool leads_through(const Parts& folder) const {
    if (!is_path) return true;
    // The segments that may come next, all at once.
    std::vector<bool> next(segments.size() + 1);
    const auto reach = [&](std::size_t segment) {
      next[segment] = true;
      while (segment + 1 < segments.size() && segments[segment].globstar) next[++segment] = true;
    };
    reach(0);
    for (const std::string_view part : folder) {
      const std::vector<bool> now = std::exchange(next, std::vector<bool>(segments.size() + 1));
      for (std::size_t i = 0; i < segments.size(); ++i) {
        if (!now[i]) continue;
        if (segments[i].globstar)
          reach(i);
        else if (segments[i].matches(part))
          reach(i + 1);
      }
    }
    return std::find(next.begin(), next.end() - 1, true) != next.end() - 1;
  }
};

std::vector<std::string> never_sent() {
  return {std::string(kNeverSentRepository), std::string(kNeverSentProjectFile)};
}

std::shared_ptr<const PathFilter::Patterns> PathFilter::parse(
    const std::vector<std::string>& patterns) {
  auto out = std::make_shared<Patterns>();
  for (const std::string& entry : patterns) {
    for (const std::string& whole : split(entry, '\n')) {
      std::string_view line = whole;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.starts_with('#')) continue;
      line = without_blanks(line);
      Pattern pattern;
      pattern.negated = line.starts_with('!');
      if (pattern.negated) line.remove_prefix(1);
      pattern.folders_only = line.ends_with('/');
      if (pattern.folders_only) line.remove_suffix(1);
      pattern.is_path = line.find('/') != line.npos;
      if (line.starts_with('/')) line.remove_prefix(1);
      if (read_segments(line, pattern.is_path, pattern.segments))
        out->push_back(std::move(pattern));
    }
  }
  return out;
}

std::optional<std::string> PathFilter::futile(std::string_view pattern) {
  if (pattern.find('\n') != pattern.npos) return "it holds a newline";
  std::string_view path = without_blanks(pattern);
  if (path.empty()) return "it is empty";
  if (path.starts_with('#')) return "it is a comment: a name that begins so is written \\#";
  if (path.starts_with('!')) path.remove_prefix(1);
  for (const std::string_view part : parts_of(path))
    if (part == "." || part == "..")
      return "\"" + std::string(part) +
             "\" is part of no path: patterns begin at the folder and "
             "do not lead out of it";
  const auto read = parse({std::string(pattern)});
  if (!read->empty()) return std::nullopt;
  std::string_view rest = path;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty() || rest.starts_with('/') || rest.find("//") != rest.npos)
    return "a name between its slashes is empty";
  if (rest.ends_with('\\')) return "nothing follows its last \"\\\"";
  return "a \"[\" is not closed, or holds an unknown class; a name with that character is written "
         "\\[";
}

PathFilter PathFilter::include(const std::vector<std::string>& patterns) {
  PathFilter filter;
  if (!patterns.empty()) filter.include_ = parse(patterns);
  return filter;
}

PathFilter PathFilter::exclude(const std::vector<std::string>& patterns) {
  return PathFilter().without(patterns);
}

PathFilter PathFilter::without(const std::vector<std::string>& patterns) const {
  PathFilter filter = *this;
  if (!patterns.empty()) filter.exclude_.push_back(parse(patterns));
  return filter;
}

bool PathFilter::excluded(const Patterns& patterns, const Parts& parts, bool is_dir) {
  for (std::size_t count = 1; count <= parts.size(); ++count) {
    const auto last = std::find_if(patterns.rbegin(), patterns.rend(), [&](const Pattern& p) {
      return p.matches(parts, count, is_dir || count < parts.size());
    });
    if (last != patterns.rend() && !last->negated) return true;
  }
  return false;
}

bool PathFilter::keeps(std::string_view path, bool is_dir) const {
  const Parts parts = parts_of(path);
  for (const auto& patterns : exclude_)
    if (excluded(*patterns, parts, is_dir)) return false;
  if (!include_ || parts.empty()) return true;
  const auto last = std::find_if(include_->rbegin(), include_->rend(),
                                 [&](const Pattern& p) { return p.reaches(parts, is_dir); });
  return last != include_->rend() && !last->negated;
}

bool PathFilter::may_hold(std::string_view folder) const {
  const Parts parts = parts_of(folder);
  for (const auto& patterns : exclude_)
    if (excluded(*patterns, parts, true)) return false;
  if (!include_) return true;
  for (auto p = include_->rbegin(); p != include_->rend(); ++p) {
    if (p->negated) {
      if (p->reaches(parts, true)) return false;  // with all that is below; earlier ones are void
    } else if (p->reaches(parts, true) || p->leads_through(parts)) {
      return true;
    }
  }
  return false;
}

}  // namespace locald::cnb
