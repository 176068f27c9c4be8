#include "cnb/inputs/project_descriptor.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/node/toml.h"
#include "base/strings.h"
#include "oci/ref/reference.h"

namespace locald::cnb {
namespace {

std::string ticked(std::string_view name) { return "`" + std::string(name) + "`"; }

/// digits[.digits], the form of API and schema versions.
bool is_api_version(std::string_view text) {
  const auto numbers = split(text, '.');
  return numbers.size() <= 2 && std::all_of(numbers.begin(), numbers.end(),
                                            [](const auto& n) { return parse_u64(n).has_value(); });
}

/// One key of a table: what may stand there is said by the function that reads it.
struct Field {
  std::string_view name;
  std::function<void(const Node& value)> read;
};
/// A key that another schema knows: what to say, as a warning.
struct Foreign {
  std::string_view name;
  std::string hint;
};

class Reader {
 public:
  Reader(const std::string& file, ParsedDescriptor& out)
      : file_(file),
        base_dir_(file.starts_with('/') ? file.substr(0, file.rfind('/') + 1) : std::string()),
        out_(out.descriptor),
        problems_(out.problems) {}

  void read(const Node& doc) {
    read_schema(doc);
    if (!problems_.empty()) return;  // which keys there are depends on it
    if (out_.schema == "0.1")
      read_first(doc);
    else
      read_later(doc);
  }

 private:
  void problem(const Node& node, std::string message, std::string hint = {}) {
    problems_.push_back({file_, node.at(), std::move(message), std::move(hint)});
  }
  void problem(const Node& node, std::string_view key, const Error& error) {
    problem(node, ticked(key) + ": " + error.message(), error.hint());
  }
  void warn(const Node& node, std::string message, std::string hint = {}) {
    out_.warnings.push_back({file_, node.at(), std::move(message), std::move(hint)});
  }
  void expected(const Node& node, std::string_view key, std::string_view what) {
    std::string hint;
    if (what == "a string" && (node.is_number() || node.is_bool() || node.is_date_time()))
      hint = "put it in quotes";
    problem(node,
            ticked(key) + " must be " + std::string(what) + ", not " + std::string(node.kind()),
            std::move(hint));
  }

  void holds(const Node& item, std::string_view key, std::string_view what) {
    problem(item, ticked(key) + " must be " + std::string(what) + ", but holds " +
                      std::string(item.kind()));
  }

  /// Reads every key of `table`; unknown ones are warnings.
  void read_table(const Node& table, std::string_view where, const std::vector<Field>& fields,
                  const std::vector<Foreign>& foreign = {}) {
    for (const auto& [name, value] : table.as_table()) {
      const auto field = std::find_if(fields.begin(), fields.end(),
                                      [&key = name](const Field& f) { return f.name == key; });
      if (field != fields.end()) {
        field->read(value);
        continue;
      }
      const auto other = std::find_if(foreign.begin(), foreign.end(),
                                      [&key = name](const Foreign& f) { return f.name == key; });
      std::vector<std::string> known;
      for (const Field& f : fields) known.emplace_back(f.name);
      std::string hint;
      if (other != foreign.end()) {
        hint = other->hint;
      } else if (const auto near = did_you_mean(name, known)) {
        hint = "did you mean " + ticked(*near) + "?";
      } else {
        std::sort(known.begin(), known.end());
        hint = "known here: " + join(known, ", ");
      }
      warn(value,
           "the key " + ticked(name) + " in " + std::string(where) + " is unknown, and left out",
           std::move(hint));
    }
  }

  bool read_text(const Node& value, std::string_view key, std::string& out) {
    if (!value.is_string()) return expected(value, key, "a string"), false;
    if (value.as_string().find('\0') != std::string::npos)
      return problem(value, ticked(key) + " holds a NUL byte"), false;
    out = value.as_string();
    return true;
  }
  Field text(std::string_view key, std::string& out) {
    return {key, [this, key, &out](const Node& value) { read_text(value, key, out); }};
  }
  /// A key that is allowed there and that locald does not read.
  Field ignored_text(std::string_view key) {
    return {key, [this, key](const Node& value) {
              std::string nobody;
              read_text(value, key, nobody);
            }};
  }
  void read_texts(const Node& value, std::string_view key, std::vector<PlacedText>& out) {
    if (!value.is_array()) return expected(value, key, "an array of strings");
    for (const Node& item : value.as_array()) {
      PlacedText word{{}, item.at()};
      if (!item.is_string())
        holds(item, key, "an array of strings");
      else if (read_text(item, key, word.text))
        out.push_back(std::move(word));
    }
  }
  /// Calls `read` with each table of an array of tables.
  Field tables(std::string_view key, std::function<void(const Node&)> read) {
    return {key, [this, key, read = std::move(read)](const Node& value) {
              if (!value.is_array()) return expected(value, key, "an array of tables");
              for (const Node& item : value.as_array()) {
                if (item.is_table())
                  read(item);
                else
                  holds(item, key, "an array of tables");
              }
            }};
  }
  Field table(std::string_view key, std::function<void(const Node&)> read) {
    return {key, [this, key, read = std::move(read)](const Node& value) {
              if (value.is_table())
                read(value);
              else
                expected(value, key, "a table");
            }};
  }

  void read_schema(const Node& doc) {
    const Node& own = doc["_"];
    if (!own.is_nothing() && !own.is_table()) return expected(own, "_", "a table");
    const Node& schema = own["schema-version"];
    if (schema.is_nothing()) return;
    std::string version;
    if (!read_text(schema, "schema-version", version)) return;
    static constexpr std::string_view kKnown[] = {"0.1", "0.2", "0.3"};
    if (std::find(std::begin(kKnown), std::end(kKnown), version) != std::end(kKnown)) {
      out_.schema = version;
      return;
    }
    if (is_api_version(version))
      problem(schema, "the schema version " + version + " is not supported",
              "known are 0.1, 0.2 and 0.3");
    else
      problem(schema, "`schema-version`: invalid version \"" + version.substr(0, 100) + "\"",
              "for example \"0.2\"");
  }

  // Schema 0.1.

  void read_first(const Node& doc) {
    const std::string hint = "it needs schema-version = \"0.2\" in [_]";
    if (const Node& later = doc["io"]["buildpacks"]; !later.is_nothing())
      warn(later,
           doc["_"].contains("schema-version")
               ? "[io.buildpacks] is left out: the file is of schema 0.1"
               : "[io.buildpacks] is left out: the file names no schema-version, which means 0.1",
           hint);
    read_table(doc["_"], "[_] of schema 0.1", {ignored_text("schema-version")},
               {{"id", hint}, {"name", hint}, {"version", hint}, {"source-url", hint}});
    for (const auto& [name, value] : doc.as_table()) {
      if (name == "project" || name == "build" || name == "metadata") {
        if (!value.is_table()) expected(value, name, "a table");
      }
    }
    read_table(doc["project"], "[project]", project_fields());
    read_table(
        doc["build"], "[build]",
        {filter("include", out_.include), filter("exclude", out_.exclude),
         tables("buildpacks", entry_into(out_.groups, "[[build.buildpacks]]")),
         tables("env", variable_into("[[build.env]]")), builder(),
         additions("pre", "[build.pre]", out_.pre), additions("post", "[build.post]", out_.post)},
        {{"group", "in schema 0.1 it is `buildpacks`"}});
    out_.metadata = doc["metadata"];
    check_filters(doc["build"]);
  }

  // Schemas 0.2 and 0.3.

  void read_later(const Node& doc) {
    for (const std::string_view old : {"build", "project"}) {
      const Node& first = doc[old];
      if (first.contains("buildpacks") || first.contains("env") || first.contains("include") ||
          first.contains("exclude") || first.contains("builder") || first.contains("licenses"))
        warn(first,
             "[" + std::string(old) + "] is left out: it is of schema 0.1, and the file of " +
                 out_.schema,
             old == "build" ? "its place is [io.buildpacks]" : "its place is [_]");
    }
    std::vector<Field> own = project_fields();
    own.push_back(ignored_text("schema-version"));
    own.push_back(table("metadata", [this](const Node& value) { out_.metadata = value; }));
    read_table(doc["_"], "[_]", own);

    const Node& io = doc["io"];
    if (io.is_nothing()) return;
    if (!io.is_table()) return expected(io, "io", "a table");
    const Node& buildpacks = io["buildpacks"];
    if (buildpacks.is_nothing()) return;
    if (!buildpacks.is_table()) return expected(buildpacks, "io.buildpacks", "a table");
    std::vector<Field> fields{ignored_text("schema-version"),
                              builder(),
                              filter("include", out_.include),
                              filter("exclude", out_.exclude),
                              tables("group", entry_into(out_.groups, "[[io.buildpacks.group]]")),
                              additions("pre", "[io.buildpacks.pre]", out_.pre),
                              additions("post", "[io.buildpacks.post]", out_.post),
                              table("build", [this](const Node& value) {
                                read_table(
                                    value, "[io.buildpacks.build]",
                                    {tables("env", variable_into("[[io.buildpacks.build.env]]"))});
                              })};
    if (out_.schema == "0.2") fields.push_back(old_environment(buildpacks));
    read_table(buildpacks, "[io.buildpacks]", fields,
               {{"env", "its place is [[io.buildpacks.build.env]]"},
                {"buildpacks", "since schema 0.2 it is `group`"}});
    check_filters(buildpacks);
  }

  /// `env.build`, as early files of 0.2 have it; only without `build.env`.
  Field old_environment(const Node& buildpacks) {
    return table("env", [this, &buildpacks](const Node& value) {
      const bool replaced = buildpacks["build"].contains("env");
      if (value.contains("build"))
        warn(value,
             replaced ? "`env.build` is left out, since `build.env` is there"
                      : "`env.build` is an old name",
             "its place is [[io.buildpacks.build.env]]");
      auto read = replaced ? [](const Node&) {} : variable_into("[[io.buildpacks.env.build]]");
      read_table(value, "[io.buildpacks.env]", {tables("build", std::move(read))});
    });
  }

  // What the schemas have in common.

  std::vector<Field> project_fields() {
    return {text("id", out_.id),
            text("name", out_.name),
            text("version", out_.version),
            text("source-url", out_.source_url),
            ignored_text("documentation-url"),
            {"authors",
             [this](const Node& value) {
               std::vector<PlacedText> nobody;
               read_texts(value, "authors", nobody);
             }},
            tables("licenses", [this](const Node& license) {
              read_table(license, "[[licenses]]", {ignored_text("type"), ignored_text("uri")});
              if (!license.contains("type") && !license.contains("uri"))
                problem(license, "a license has neither `type` nor `uri`");
            })};
  }

  Field builder() {
    return {"builder", [this](const Node& value) {
              if (!read_text(value, "builder", out_.builder.text)) return;
              out_.builder.at = value.at();
              if (auto name = oci::ImageReference::parse(out_.builder.text, base_dir_); !name)
                problem(value, "builder", name.error());
            }};
  }

  Field filter(std::string_view key, std::vector<PlacedText>& out) {
    return {key, [this, key, &out](const Node& value) { read_texts(value, key, out); }};
  }
  void check_filters(const Node& table) {
    if (!table.contains("include") || !table.contains("exclude")) return;
    const Node& include = table["include"];
    const Node& exclude = table["exclude"];
    const bool first = std::pair(include.at().line, include.at().column) <
                       std::pair(exclude.at().line, exclude.at().column);
    problem(first ? exclude : include, "`include` and `exclude` are both there",
            "say either what is sent or what is not");
  }

  Field additions(std::string_view key, std::string where, std::vector<BuildpackEntry>& out) {
    return table(key, [this, where, &out](const Node& value) {
      read_table(value, where,
                 {tables("group",
                         entry_into(out, "[[" + where.substr(1, where.size() - 2) + ".group]]"))});
    });
  }

  Field execution_environments(std::vector<std::string>& out) {
    return {"exec-env", [this, &out](const Node& value) {
              std::vector<PlacedText> names;
              read_texts(value, "exec-env", names);
              for (PlacedText& name : names) {
                if (name.empty() || name.text.find('/') != std::string::npos)
                  problems_.push_back(
                      {file_, name.at,
                       "`exec-env`: invalid execution environment \"" + name.text + "\"",
                       "such as \"production\", \"test\" or \"development\""});
                else
                  out.push_back(std::move(name.text));
              }
            }};
  }
  /// `exec-env` where the schema has it, else the hint for who writes it too early.
  std::vector<Foreign> with_exec_env(std::vector<Field>& fields, std::vector<std::string>& out) {
    if (out_.schema != "0.3") return {{"exec-env", "it needs schema-version = \"0.3\""}};
    fields.push_back(execution_environments(out));
    return {};
  }

  std::function<void(const Node&)> variable_into(std::string where) {
    return [this, where = std::move(where)](const Node& value) {
      BuildVariable variable;
      variable.at = value.at();
      const std::size_t before = problems_.size();
      std::vector<Field> fields{text("name", variable.name), text("value", variable.value)};
      const auto foreign = with_exec_env(fields, variable.exec_env);
      read_table(value, where, fields, foreign);
      if (problems_.size() != before) return;
      if (variable.name.empty()) return problem(value, "a variable in " + where + " has no `name`");
      if (variable.name.find('=') != std::string::npos)
        return problem(value["name"], "\"" + variable.name + "\" cannot be the name of a variable");
      if (!value.contains("value"))
        warn(value, "the variable " + ticked(variable.name) + " has no `value`, and is empty");
      out_.build_env.push_back(std::move(variable));
    };
  }

  std::function<void(const Node&)> entry_into(std::vector<BuildpackEntry>& out, std::string where) {
    return [this, &out, where = std::move(where)](const Node& value) {
      BuildpackEntry entry;
      entry.at = value.at();
      const std::size_t before = problems_.size();
      std::vector<Field> fields{
          text("id", entry.id),
          text("version", entry.version),
          {"uri", [&](const Node& uri) { read_uri(uri, &out == &out_.groups, entry); }},
          table("script", [&](const Node& script) { read_script(script, entry); })};
      const auto foreign = with_exec_env(fields, entry.exec_env);
      read_table(value, where, fields, foreign);
      if (problems_.size() == before) check_entry(value, where, entry);
      out.push_back(std::move(entry));
    };
  }

  void check_entry(const Node& value, const std::string& where, const BuildpackEntry& entry) {
    std::vector<std::string> sources;
    for (const std::string_view key : {"version", "uri", "script"})
      if (value.contains(key)) sources.push_back(ticked(key));
    // A script may have a version: it is what is made of it that has one.
    if (sources.size() > 1 && value.contains("uri"))
      problem(value, "the buildpack has " + join(sources, " and "),
              "one of them says where it comes from");
    if (value.contains("id")) {
      if (auto good = check_buildpack_id(entry.id); !good) problem(value["id"], "id", good.error());
    } else if (!value.contains("uri")) {
      problem(value, "the buildpack in " + where + " has no `id`" +
                         (sources.empty() ? " and no `uri`" : ""));
    }
    if (value.contains("version") && trim(entry.version).empty())
      problem(value["version"], "`version` is empty", "without it the newest is taken");
  }

  void read_uri(const Node& value, bool in_group, BuildpackEntry& entry) {
    entry.uri_at = value.at();
    std::string words;
    if (!read_text(value, "uri", words)) return;
    auto uri = parse_buildpack_uri(words, base_dir_);
    if (!uri) return problem(value, "uri", uri.error());
    if (std::holds_alternative<BuilderOrder>(*uri)) {
      if (!in_group)
        problem(value, "`uri`: the builder's order cannot be put before or after itself",
                "from=builder is for a group");
      else if (std::exchange(has_builder_order_, true))
        problem(value, "`uri`: the builder's order can be there once");
    }
    entry.uri = std::move(*uri);
  }

  void read_script(const Node& value, BuildpackEntry& entry) {
    InlineScript& script = entry.script.emplace();
    script.at = value.at();
    const std::size_t before = problems_.size();
    read_table(value, "the table `script`",
               {text("api", script.api), text("shell", script.shell), text("inline", script.body)});
    if (problems_.size() != before) return;
    for (const std::string_view key : {"api", "inline"})
      if (!value.contains(key))
        problem(value, "the script has no " + ticked(key),
                key == "api" ? "the Buildpack API it is written for, such as \"0.10\"" : "");
    if (value.contains("api") && !is_api_version(script.api))
      problem(value["api"], "`api`: invalid version \"" + script.api.substr(0, 100) + "\"",
              "for example \"0.10\"");
    // It becomes the first line of a file that is executed.
    if (!script.shell.starts_with('/') || script.shell.find('\n') != std::string::npos)
      problem(value["shell"], "`shell` is not the absolute path of a program",
              "for example \"/bin/bash\"");
  }

  const std::string& file_;
  std::string base_dir_;
  ProjectDescriptor& out_;
  TextProblems& problems_;
  bool has_builder_order_ = false;
};

}  // namespace

std::optional<Json> ProjectDescriptor::source() const {
  if (version.empty() && source_url.empty()) return std::nullopt;
  // Both are there, be they empty, as in pack's.
  return Json::object({{"type", "project"},
                       {"version", Json::object({{"declared", version}})},
                       {"metadata", Json::object({{"url", source_url}})}});
}

ParsedDescriptor parse_project_descriptor(std::string_view text, const std::string& file) {
  ParsedDescriptor out;
  Node doc;
  if (auto problem = parse_toml_to(doc, text, file, {})) {
    out.problems.push_back(std::move(*problem));
    return out;
  }
  Reader(file, out).read(doc);
  sort_by_place(out.problems);
  sort_by_place(out.descriptor.warnings);
  return out;
}

}  // namespace locald::cnb
