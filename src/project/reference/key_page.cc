#include "project/reference/key_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "project/toml/toml_front.h"
#include "project/user_config.h"

namespace locald::project {
namespace {

constexpr std::size_t kColumns = 100;

constexpr const char* kHead = R"(# Every key of `locald.toml`

This page is generated from the tables that read the file, and a test holds it to them:
`LOCALD_RECORD=1 build/dev/src/project/project_test --gtest_filter='Reference.*'` writes it again.

```toml
[project]                         # optional
name = "shop"

[services.web]                    # a host process
command = ["python3", "-u", "app.py"]
port = "auto"
env = { DB = "${services.db.host}:${services.db.port}" }
depends_on = { db = "healthy" }
health = "/healthz"

[services.db]
type = "container"
image = "postgres:15"
container_port = 5432
env = { POSTGRES_PASSWORD = "secret" }
volumes = ["db:/var/lib/postgresql/data"]
health = { tcp = true }
```

`locald config check` names every problem of a file with its line, unknown keys too, and changes
nothing. A relative path starts in the folder of the file. Texts may hold `${VAR}` and
`${services.NAME.port}`: [variables.md](variables.md).

## In an editor

`locald config schema` prints a JSON Schema of the file, which is also
[locald.schema.json](locald.schema.json). Taplo, and with it the extension Even Better TOML of VS
Code, completes and checks by it where the first line of the file names it,

    #:schema ./locald.schema.json

or for all projects, by the editor's settings:

    "evenBetterToml.schema.associations": { "locald\\.toml$": "file:///usr/share/locald/locald.schema.json" }

## How to read this page

* a *string* is text in quotes; a *duration* a string such as `"200ms"`, `"2s"` or `"1m30s"`; a
  *size* a string such as `"512m"` or `"1g"`, or a number of bytes.
* a *command* is a string, which `sh -c` runs, or a list of its words.
* *since* names the version that was the first to know the key. 0.2 is what this folder holds; it
  is not released.
)";

struct Section {
  std::string title, intro;
  std::string prefix;  ///< of its keys in headings: "health."
  KeyFields fields;
};

std::string type_text(const Shape& shape);

std::string one_of_texts(const std::vector<std::string>& texts) {
  std::string out;
  for (std::size_t i = 0; i < texts.size(); ++i)
    out += (i == 0 ? "" : i + 1 == texts.size() ? " or " : ", ") + texts[i];
  return out;
}

std::string words_text(const Shape& shape) {
  std::vector<std::string> words;
  for (const std::string_view word : shape.words) words.push_back(fmt::format("`\"{}\"`", word));
  return one_of_texts(words);
}

std::string type_text(const Shape& shape) {
  if (&shape == &shapes::command()) return "command";
  if (&shape == &shapes::size()) return "size";
  if (!shape.called.empty()) return std::string(shape.called);
  switch (shape.kind) {
    case Shape::Kind::text:
      return "string";
    case Shape::Kind::whole:
      return fmt::format("{} to {}", shape.low, shape.high);
    case Shape::Kind::number:
      return "number above 0";
    case Shape::Kind::boolean:
      return shape.low == 1 ? "`true`" : "`true` or `false`";
    case Shape::Kind::words:
      return words_text(shape);
    case Shape::Kind::list: {
      const Shape& item = *shape.parts.front();
      if (item.kind == Shape::Kind::text) return "list of strings";
      return "list, each item: " + type_text(item);
    }
    case Shape::Kind::names:
    case Shape::Kind::table:
      return "table";
    case Shape::Kind::either:
      break;
  }
  std::vector<std::string> parts;
  for (const Shape* part : shape.parts) parts.push_back(type_text(*part));
  return one_of_texts(parts);
}

/// Breaks a text at blanks outside of code.
std::string filled(const std::string& text) {
  std::string out, line, word;
  bool in_code = false;
  const auto put = [&] {
    if (!line.empty() && line.size() + 1 + word.size() > kColumns) {
      out += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    word.clear();
  };
  for (const char c : text) {
    if (c == '`') in_code = !in_code;
    if (c == ' ' && !in_code)
      put();
    else
      word += c;
  }
  put();
  return out + line + "\n";
}

/// The table of fields that stands in `shape`, or in its parts.
const Shape* table_in(const Shape& shape) {
  if (shape.kind == Shape::Kind::table) return &shape;
  for (const Shape* part : shape.parts)
    if (const Shape* table = table_in(*part)) return table;
  return nullptr;
}

std::string entry(const Section& section, const Field& field) {
  const KeyText& text = field.text;
  std::string facts = type_text(field.shape);
  if (!text.fallback.empty())
    facts += fmt::format(" · default `{}`", text.fallback);
  else if (!text.otherwise.empty())
    facts += fmt::format(" · default: {}", text.otherwise);
  facts += fmt::format(" · since {}", text.since);
  std::string out = fmt::format("\n### `{}{}`\n\n{}\n{}", section.prefix, field.name, filled(facts),
                                filled(std::string(text.text)));
  if (!text.example.empty()) out += fmt::format("\n```toml\n{}\n```\n", text.example);
  return out;
}

/// As forges make it of a heading.
std::string anchor(std::string_view heading) {
  std::string out;
  for (const char c : heading)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-')
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string section_text(const Section& section) {
  std::string out = fmt::format("\n## {}\n\n{}", section.title, filled(section.intro));
  if (section.fields.size() > 3) {
    std::vector<std::string> links;
    for (const Field& field : section.fields)
      links.push_back(
          fmt::format("[`{}`](#{})", field.name, anchor(section.prefix + std::string(field.name))));
    out += "\n" + filled(join(links, " "));
  }
  for (const Field& field : section.fields) out += entry(section, field);
  return out;
}

/// The keys of services, by those that have them.
std::vector<Section> service_sections() {
  const std::vector<Shape>& types = service_shapes();
  struct Group {
    std::vector<std::string_view> of;
    std::string title, intro;
  };
  const std::vector<Group> groups = {
      {{"exec", "container", "cnb"},
       "Every service: `[services.NAME]`",
       "A name has small letters, digits, `-` and `_`, and begins with a letter or digit."},
      {{"exec", "container"}, "Host processes and containers", "What an app does not have."},
      {{"container", "cnb"},
       "Containers and apps",
       "What `type = \"container\"` and `type = \"cnb\"` have."},
      {{"container"}, "Containers", "What `type = \"container\"` alone has."},
      {{"cnb"},
       "Apps",
       "What `type = \"cnb\"` alone has. How apps are built: [buildpacks.md](buildpacks.md)."}};
  std::vector<Section> out;
  for (const Group& group : groups) out.push_back({group.title, group.intro, "", {}});
  std::vector<std::pair<Field, std::vector<std::string_view>>> all;
  for (const Shape& type : types)
    for (Field& field : type.fields()) {
      auto at = std::find_if(all.begin(), all.end(),
                             [&](const auto& known) { return known.first.name == field.name; });
      if (at == all.end()) at = all.insert(at, {std::move(field), std::vector<std::string_view>()});
      at->second.push_back(type.called);
    }
  for (auto& [field, of] : all)
    for (std::size_t i = 0; i < groups.size(); ++i)
      if (groups[i].of == of) out[i].fields.push_back(field);
  return out;
}

/// The tables that stand in keys of services.
std::vector<Section> inner_sections(const std::vector<Section>& services) {
  std::vector<Section> out;
  for (const Section& section : services)
    for (const Field& field : section.fields) {
      const Shape* table = table_in(field.shape);
      if (table == nullptr) continue;
      const std::string name(field.name);
      Section inner{fmt::format("`{}` as a table", name), "", name + ".", table->fields()};
      inner.intro = fmt::format("The keys of a table in `{}`.", name);
      if (field.shape.get().kind == Shape::Kind::table) inner.title = fmt::format("`{}`", name);
      if (field.shape.get().kind == Shape::Kind::list)
        inner.intro = fmt::format("The keys of a table in the list `{}`.", name);
      if (name == "processes") {  // all that services have, but how the app is built
        std::erase_if(inner.fields, [&](const Field& f) {
          return std::any_of(services.begin(), services.end(), [&](const Section& s) {
            return std::any_of(s.fields.begin(), s.fields.end(),
                               [&](const Field& known) { return known.name == f.name; });
          });
        });
        inner.title = "`[services.NAME.processes.TYPE]`";
        inner.intro =
            "A process type's table has the keys of every service but `type`, of containers and "
            "apps, `process` and `args`.";
      }
      if (!table->one_of.empty()) {
        std::vector<std::string> keys;
        for (const std::string_view key : table->one_of) keys.push_back(fmt::format("`{}`", key));
        inner.intro += fmt::format(" It has exactly one of {}.", one_of_texts(keys));
      }
      out.push_back(std::move(inner));
    }
  return out;
}

}  // namespace

std::string key_page() {
  std::string out = kHead;
  const KeyFields file = looked_at<ProjectSpec, file_fields>();
  const auto top = [&](std::string_view name) -> const Field& {
    return *std::find_if(file.begin(), file.end(),
                         [&](const Field& field) { return field.name == name; });
  };
  const auto section_of = [&](std::string_view name, const std::string& title,
                              const std::string& prefix) {
    const Field& field = top(name);
    return Section{title, std::string(field.text.text), prefix, table_in(field.shape)->fields()};
  };
  out += section_text(section_of("project", "`[project]`", "project."));
  const std::vector<Section> services = service_sections();
  for (const Section& section : services) out += section_text(section);
  for (const Section& section : inner_sections(services)) out += section_text(section);
  out += section_text(section_of("networks", "`[networks.NAME]`", "networks.NAME."));
  out += section_text(
      {"`config.toml`",
       "What a user sets for all projects stands in `~/.config/locald/config.toml`, or where "
       "`$XDG_CONFIG_HOME` or `$LOCALD_HOME` leads to.",
       "config.toml ", user_config_shape().fields()});
  return out;
}

}  // namespace locald::project
