#include "project/compose/model_reader.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "project/compose/complete.h"
#include "project/compose/forms.h"
#include "project/compose/interpolate.h"
#include "project/compose/merge.h"
#include "project/compose/schema.h"
#include "project/compose/shape.h"

namespace locald::project::compose {
namespace {

constexpr std::size_t kMaxExpandedOfAll = 64u << 20;  // bytes
constexpr std::size_t kMaxFiles = 1000;
constexpr std::size_t kMaxNodesOfAll = 1'000'000;

}  // namespace

ModelReader::ModelReader(const FileAccess& access, std::string home, Report& report)
    : access_(access), home_(std::move(home)), report_(report) {}

bool ModelReader::parse(const std::string& path, std::vector<YamlDocument>& out) {
  const auto fail = [&](std::string message, std::string hint) {
    report_.problems.push_back({path, {}, std::move(message), std::move(hint)});
    return false;
  };
  if (++files_ > kMaxFiles) return fail(fmt::format("more than {} files", kMaxFiles), "");
  const auto text = access_.read(path);
  if (!text) return fail(text.error().message(), text.error().hint());
  if (auto problem = parse_yaml(out, *text, path)) {
    report_.problems.push_back(std::move(*problem));
    return false;
  }
  for (const YamlDocument& document : out)
    if (!count(document.root, path)) return false;
  return true;
}

bool ModelReader::count(const Node& value, const std::string& path) {
  nodes_ += count_nodes(value);
  if (nodes_ <= kMaxNodesOfAll) return true;
  report_.problems.push_back({path, value.at(),
                              fmt::format("more than {} values in all files", kMaxNodesOfAll),
                              "a service that extends another one has all of its values"});
  return false;
}

std::string ModelReader::written_name(const std::vector<std::string>& files,
                                      const Environment& environment) {
  Node name;
  for (const std::string& file : files) {
    std::vector<YamlDocument> documents;
    const auto text = access_.read(file);
    if (!text || parse_yaml(documents, *text, file)) continue;
    for (YamlDocument& document : documents)
      if (!document.root["name"].as_string().empty()) name = document.root["name"];
  }
  if (!name.is_string() || !replace_variables(name, "name", environment)) return {};
  return name.as_string();
}

Node ModelReader::read(const std::vector<std::string>& files, const std::string& dir,
                       const Environment& environment) {
  return read_model(files, {dir, environment});
}

Node ModelReader::read_model(const std::vector<std::string>& files, const Scope& scope) {
  Node model = Node::table();
  for (const std::string& file : files)
    if (!read_file(file, scope, model, nullptr)) return {};
  if (model.as_table().empty()) return model;
  set_defaults(model);
  resolve_paths(model, scope.dir, home_, report_);
  resolve_variables(model, scope.environment);
  return model;
}

bool ModelReader::read_file(const std::string& path, const Scope& scope, Node& model,
                            std::vector<YamlMark>* marks) {
  std::vector<YamlDocument> documents;
  if (!parse(path, documents)) return false;
  open_.push_back(path);
  bool good = true;
  for (YamlDocument& document : documents) {
    good = good && add_document(document, path, scope, model);
    if (marks != nullptr) *marks = std::move(document.marks);
  }
  open_.pop_back();
  return good;
}

bool ModelReader::add_document(YamlDocument& document, const std::string& path, const Scope& scope,
                               Node& model) {
  Node& root = document.root;
  if (!root.is_table()) {
    report_.problems.push_back({path, root.at(),
                                fmt::format("the file must be a mapping, not {}", kind_word(root)),
                                "it begins with `services:`"});
    return false;
  }
  for (YamlRespelled& number : document.respelled)
    respelled_[{path, number.at.line, number.at.column}] = std::move(number.text);
  if (!replace_variables(root, "", scope.environment)) return false;
  if (!scope.extended && !include_all(root, scope, document.marks)) return false;
  apply_marks(model, {}, document.marks);
  if (!scope.extended && !extend_all(root, path, scope, document.marks)) return false;
  merge(model, std::move(root), &kProjectShape, "", report_);
  drop_replaced(model, kProjectShape);
  if (!scope.extended && report_.good()) {
    check_schema(model, report_);
    if (const Node& version = model["version"]; !version.is_nothing())
      report_.notice(version, "`version` has no effect", "remove it");
    model.erase("version");
  }
  if (!report_.good()) return false;
  make_long(model, report_);
  drop_replaced(model, kProjectShape);
  return report_.good();
}

/// All bad values of a file are told, not the first one alone.
bool ModelReader::replace_variables(Node& value, const std::string& where,
                                    const Environment& environment) {
  bool good = true;
  if (Node::Table* const members = value.members()) {
    for (auto& [name, member] : *members)
      good = replace_variables(member, member_path(where, name), environment) && good;
    return good;
  }
  if (Node::Array* const items = value.items()) {
    for (std::size_t i = 0; i < items->size(); ++i)
      good = replace_variables((*items)[i], item_path(where, i), environment) && good;
    return good;
  }
  if (!value.is_string() || value.as_string().find('$') == std::string::npos) return true;
  std::vector<std::string> unset;
  Lookup lookup;
  lookup.variable = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  lookup.unset = &unset;
  auto text = substitute(value.as_string(), lookup);
  if (text && (expanded_ += text->size()) > kMaxExpandedOfAll)
    text = Error(Errc::invalid_input,
                 fmt::format("all values together grow beyond {} MiB", kMaxExpandedOfAll >> 20));
  if (!text) {
    report_.problem(value, where, text.error());
    return false;
  }
  for (const std::string& name : unset)
    if (told_.insert(name).second)
      report_.notice(
          value,
          fmt::format("the variable {} is not set: nothing stands for it", shortened(name, 60)),
          "set it, or write ${NAME:-default}");
  Node replaced(std::move(*text));
  replaced.place_as(value);
  value = std::move(replaced);
  return true;
}

}  // namespace locald::project::compose
