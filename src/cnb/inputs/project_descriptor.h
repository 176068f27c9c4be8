#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/node/node.h"
#include "base/node/text_problem.h"
#include "cnb/inputs/buildpack_uri.h"

namespace locald::cnb {

/// A word of the file, and where it stands.
struct PlacedText {
  std::string text;
  SourcePos at;
  bool empty() const noexcept { return text.empty(); }
};

/// A buildpack that is one script in the project.toml.
struct InlineScript {
  std::string api;                ///< Buildpack API, "0.10"; whether it is supported is not asked
  std::string shell = "/bin/sh";  ///< absolute; arguments may follow
  std::string body;               ///< the key `inline`
  SourcePos at;
};

/// One entry of a group. It has an id or a uri; a version, a uri or a script, or an id alone, which
/// is then the builder's.
struct BuildpackEntry {
  std::string id;
  std::string version;  ///< empty: the newest there is; "latest" is as good a text as any
  std::optional<BuildpackUri> uri;
  std::optional<InlineScript> script;
  std::vector<std::string> exec_env;  ///< execution environments it is for; empty: all
  SourcePos at, uri_at;
};

struct BuildVariable {
  std::string name;
  std::string value;
  std::vector<std::string> exec_env;  ///< empty: all
  SourcePos at;
};

/// What a project.toml says about building (spec: extensions/project-descriptor.md).
struct ProjectDescriptor {
  std::string schema = "0.1";  ///< "0.1", "0.2" or "0.3"

  PlacedText builder;                        ///< an image reference; empty: not given
  std::vector<PlacedText> include, exclude;  ///< for PathFilter; never both
  std::vector<BuildpackEntry> groups;        ///< replaces the builder's order; empty: it stands
  std::vector<BuildpackEntry> pre, post;     ///< put before and after each of the builder's groups
  std::vector<BuildVariable> build_env;  ///< in the order of the file; the last of a name counts

  std::string id, name, version, source_url;  ///< of the project; all optional
  Node metadata;                              ///< free form; a nothing where there is none

  /// What does no harm but is likely not meant: keys that nobody reads, with the one that was
  /// likely meant. Not errors, since other tools keep their tables in the same file.
  TextProblems warnings;

  /// The `source` of the label io.buildpacks.project.metadata (spec: platform.md,
  /// #project-metadatatoml-toml), where the file gives a version or a URL.
  std::optional<Json> source() const;
};

/// The descriptor is only of use where there are no problems.
struct ParsedDescriptor {
  ProjectDescriptor descriptor;
  TextProblems problems;
};

/// Reads a project.toml of schema 0.1 (or none: [project] and [build]), 0.2 or 0.3 ([_] and
/// [io.buildpacks]) as pack does, with all problems found at once, in the order of the file:
/// wrong types, an unknown schema, include with exclude, an entry of a group that says none or
/// a uri beside a version or a script, uris and ids of no known form. 0.1 may have `pre` and `post`
/// in [build]; 0.2 may have `env.build` for `build.env`; `exec-env` is of 0.3.
/// Pure: no file is opened, nothing is looked up.
///
/// @param file  What `text` was read from, for messages; if absolute, relative image layouts
///              start in its folder.
ParsedDescriptor parse_project_descriptor(std::string_view text, const std::string& file);

}  // namespace locald::cnb
