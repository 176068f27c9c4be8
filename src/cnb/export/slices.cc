#include "cnb/export/slices.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/strings.h"

namespace locald::cnb {
namespace {

Error bad_pattern(std::string_view text) {
  return {Errc::invalid_input, "invalid pattern \"" + std::string(text) + "\""};
}

/// filepath.Clean, for what lies in a folder.
std::string clean(std::string_view path) {
  std::vector<std::string> parts;
  const bool rooted = path.starts_with('/');
  for (const std::string& part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..")
      parts.push_back(part);
    else if (!parts.empty() && parts.back() != "..")
      parts.pop_back();
    else if (!rooted)
      parts.push_back(part);
  }
  const std::string out = (rooted ? "/" : "") + join(parts, "/");
  return out.empty() ? "." : out;
}

/// The tree that `paths` are, and what has been taken of it.
class Slicing {
 public:
  explicit Slicing(const std::vector<SlicePath>& paths)
      : paths_(paths), parent_(paths.size(), 0), children_(paths.size()), taken_(paths.size()) {
    std::map<std::string_view, std::size_t> places;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const std::string_view path = paths[i].path;
      places.emplace(path, i);
      if (path.empty()) continue;
      const std::size_t slash = path.rfind('/');
      parent_[i] =
          places[slash == std::string_view::npos ? std::string_view() : path.substr(0, slash)];
      children_[parent_[i]].push_back(i);
    }
  }

  std::vector<std::size_t> take(const std::vector<PathPattern>& patterns) {
    std::set<std::size_t> matched;
    for (const PathPattern& pattern : patterns)
      for (std::size_t i = 0; i < paths_.size(); ++i)
        if (!paths_[i].path.empty() && pattern.matches(paths_[i].path)) add(i, matched);
    std::set<std::size_t> above;
    for (const std::size_t i : matched)
      for (std::size_t at = i; !paths_[at].path.empty();) {
        at = parent_[at];
        if (!matched.contains(at)) above.insert(at);
      }
    // The deepest first: a folder is done when all in it are. A folder stands before what it holds.
    for (auto folder = above.rbegin(); folder != above.rend(); ++folder)
      taken_[*folder] = std::all_of(children_[*folder].begin(), children_[*folder].end(),
                                    [this](std::size_t child) { return taken_[child]; });
    matched.merge(above);
    return {matched.begin(), matched.end()};
  }

  std::vector<std::size_t> rest() const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < taken_.size(); ++i)
      if (!taken_[i]) out.push_back(i);
    return out;
  }

 private:
  void add(std::size_t i, std::set<std::size_t>& matched) {
    if (taken_[i]) return;
    for (const std::size_t child : children_[i]) add(child, matched);
    matched.insert(i);
    taken_[i] = true;
  }

  const std::vector<SlicePath>& paths_;
  std::vector<std::size_t> parent_;
  std::vector<std::vector<std::size_t>> children_;
  std::vector<bool> taken_;
};

}  // namespace

Result<PathPattern> PathPattern::parse(std::string_view text) {
  PathPattern out;
  std::string_view rest = text;
  // One character of a class, which must not be the pattern's last.
  const auto in_class = [&rest](char32_t& rune) {
    if (rest.starts_with('-') || rest.starts_with(']')) return false;
    if (rest.starts_with('\\')) rest.remove_prefix(1);
    const std::size_t size = utf8_sequence(rest, rune);
    rest.remove_prefix(size);
    return size != 0 && !rest.empty();
  };
  while (!rest.empty()) {
    Token token;
    const char first = rest[0];
    rest.remove_prefix(1);
    if (first == '*') {
      token.kind = Token::Kind::star;
    } else if (first == '?') {
      token.kind = Token::Kind::any;
    } else if (first == '[') {
      token.kind = Token::Kind::set;
      token.negated = rest.starts_with('^');
      if (token.negated) rest.remove_prefix(1);
      while (!rest.starts_with(']') || token.ranges.empty()) {
        char32_t low = 0;
        if (!in_class(low)) return bad_pattern(text);
        char32_t high = low;
        if (rest.starts_with('-')) {
          rest.remove_prefix(1);
          if (!in_class(high)) return bad_pattern(text);
        }
        token.ranges.emplace_back(low, high);
      }
      rest.remove_prefix(1);
    } else {
      token.literal = first;
      if (first == '\\') {
        if (rest.empty()) return bad_pattern(text);
        token.literal = rest[0];
        rest.remove_prefix(1);
      }
    }
    out.tokens_.push_back(std::move(token));
  }
  return out;
}

/// How many bytes at the start of `path` the token takes; 0 where it does not match.
std::size_t PathPattern::Token::takes(std::string_view path) const {
  if (path.empty()) return 0;
  if (kind == Kind::literal) return path[0] == literal ? 1 : 0;
  char32_t rune = 0;
  std::size_t size = utf8_sequence(path, rune);
  if (size == 0) {
    rune = 0xfffd;
    size = 1;
  }
  if (kind == Kind::any) return path[0] == '/' ? 0 : size;
  const bool inside = std::any_of(ranges.begin(), ranges.end(), [rune](const auto& range) {
    return range.first <= rune && rune <= range.second;
  });
  return inside == negated ? 0 : size;
}

bool PathPattern::matches(std::string_view path) const {
  constexpr std::size_t none = std::string_view::npos;
  std::size_t token = 0, at = 0;
  std::size_t star = none,
              star_end = 0;  // the token behind the last star, and how far that one reaches
  while (token < tokens_.size() || at < path.size()) {
    if (token < tokens_.size() && tokens_[token].kind == Token::Kind::star) {
      star = ++token;
      star_end = at;
      continue;
    }
    const std::size_t taken =
        token < tokens_.size() ? tokens_[token].takes(path.substr(at)) : std::size_t{0};
    if (taken > 0) {
      ++token;
      at += taken;
      continue;
    }
    if (star == none || star_end >= path.size() || path[star_end] == '/') return false;
    at = ++star_end;
    token = star;
  }
  return true;
}

Result<std::vector<std::vector<std::size_t>>> slice_paths(
    const std::vector<SlicePath>& paths, const std::vector<std::vector<std::string>>& slices) {
  Slicing slicing(paths);
  std::vector<std::vector<std::size_t>> out;
  for (const std::vector<std::string>& slice : slices) {
    std::vector<PathPattern> patterns;
    for (const std::string& text : slice) {
      auto pattern = PathPattern::parse(clean(text));
      // Go sees it only when there is something to compare it with.
      if (!pattern && paths.size() > 1) return std::move(pattern).error().with_context("slice");
      if (pattern) patterns.push_back(std::move(*pattern));
    }
    out.push_back(slicing.take(patterns));
  }
  out.push_back(slicing.rest());
  return out;
}

}  // namespace locald::cnb
