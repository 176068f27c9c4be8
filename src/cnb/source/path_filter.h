#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace locald::cnb {

/// Never sent into a build, whatever the project says: the repository, at any depth (a folder, or
/// the file of a worktree or submodule). Every commit and fetch changes it, so each would look like
/// a change of the source; it is often the largest part of a project; and its config may hold
/// credentials.
inline constexpr std::string_view kNeverSentRepository = ".git";
/// … and our own file at the root: a new port or another service does not change the app.
inline constexpr std::string_view kNeverSentProjectFile = "/locald.toml";
/// Both, as patterns for PathFilter::without().
std::vector<std::string> never_sent();

/// Says which files of a project are sent into a build: the `include` or `exclude` list of a
/// project.toml (spec: extensions/project-descriptor.md), whose entries are patterns as in a
/// .gitignore (git: Documentation/gitignore.txt).
///
///     const auto filter = PathFilter::exclude({"node_modules/", "*.log", "!keep.log"})
///                             .without(never_sent());
///     walk:  on a folder:  if (filter.keeps(path, /*is_dir=*/true)) make it;
///                          if (filter.may_hold(path)) go into it;
///            on a file:    if (filter.keeps(path, /*is_dir=*/false)) send it, and make its
///                          folders where they are not there yet;
///
/// A pattern without a slash, other than one at its end, matches a name at any depth; with one it
/// is a path from the root. `*`, `?` and `[a-z]`, `[!a]`, `[[:digit:]]` match within one name, byte
/// by byte; `**/`, `/**/` and `/**` any number of folders, the last at least one name. A slash at
/// the end means folders only, `!` at the front takes an earlier match back, `\` takes the meaning
/// from the next character; blank lines, `# comments` and blanks at the end are left out. An entry
/// may hold several lines. The last pattern that matches decides. What git cannot match ("[a",
/// "a\") matches nothing here either.
///
/// exclude: what is below an excluded folder stays excluded, `!` or not, and the folder is not
/// there either, not even empty.
/// include: what is below an included folder is included; `!` takes away from what the patterns
/// before it took, with all that is below. So {"src/", "!src/test/"} is src without its tests.
/// Git's rule would make that `!` void, which is what nobody means who writes it.
///
/// Paths are relative to the root: "a/b", without "." and "..", without a slash at either end. The
/// root itself, "", is always kept. A symbolic link is not a folder.
///
/// Time: for a path of n bytes and a pattern of m at most n * m per folder above it, hostile or
/// not. A value; thread-compatible.
class PathFilter {
 public:
  PathFilter() = default;  ///< keeps everything

  /// An empty list does not count: it keeps everything, as in pack. A list that holds
  /// comments only includes nothing.
  static PathFilter include(const std::vector<std::string>& patterns);
  static PathFilter exclude(const std::vector<std::string>& patterns);

  /// Why `pattern`, one line, can match no path: for those who ask before they take it. Also where
  /// it is blank or a comment. Nullopt: it can.
  static std::optional<std::string> futile(std::string_view pattern);

  /// The same filter, which keeps nothing of what `patterns` exclude.
  PathFilter without(const std::vector<std::string>& patterns) const;

  /// Is this sent? Of a folder: also when nothing in it is.
  bool keeps(std::string_view path, bool is_dir) const;

  /// May keeps() be true of anything below this folder? False means: do not look. True of a folder
  /// that is not kept itself means that patterns lead through it.
  bool may_hold(std::string_view folder) const;

 private:
  struct Pattern;
  using Patterns = std::vector<Pattern>;
  using Parts = std::vector<std::string_view>;

  static std::shared_ptr<const Patterns> parse(const std::vector<std::string>& patterns);
  static bool excluded(const Patterns& patterns, const Parts& parts, bool is_dir);

  std::shared_ptr<const Patterns> include_;               // null: everything
  std::vector<std::shared_ptr<const Patterns>> exclude_;  // each for itself
};

}  // namespace locald::cnb
