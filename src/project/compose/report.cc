#include "project/compose/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "project/yaml/yaml_scalar.h"

namespace locald::project::compose {

void Report::problem(const Node& at, std::string message, std::string hint) {
  if (problems.size() < kMaxProblems)
    problems.push_back({at.file(), at.at(), std::move(message), std::move(hint)});
}

void Report::key_problem(const Node& member, std::string message, std::string hint) {
  if (problems.size() < kMaxProblems)
    problems.push_back({member.file(), member.key_at(), std::move(message), std::move(hint)});
}

void Report::problem(const Node& at, const std::string& where, const Error& error) {
  problem(at, fmt::format("`{}`: {}", where, error.message()), error.hint());
}

void Report::notice(const Node& at, std::string message, std::string hint) {
  notice({at.file(), at.at(), std::move(message), std::move(hint)});
}

void Report::notice(TextProblem notice) {
  const auto same = [&](const TextProblem& other) {
    return other.file == notice.file && other.at == notice.at && other.message == notice.message;
  };
  if (notices.size() < kMaxNotices && std::none_of(notices.begin(), notices.end(), same))
    notices.push_back(std::move(notice));
}

std::string_view kind_word(const Node& value) noexcept {
  if (value.is_array()) return "a list";
  return value.is_table() ? "a mapping" : value.kind();
}

std::string scalar_text(const Node& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_int()) return fmt::to_string(value.as_int());
  if (value.is_float()) return number_text(value.as_double());
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  return {};
}

std::size_t count_nodes(const Node& value) {
  std::size_t nodes = 1;
  for (const Node& item : value.as_array()) nodes += count_nodes(item);
  for (const auto& [name, member] : value.as_table()) nodes += count_nodes(member);
  return nodes;
}

std::string member_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string item_path(const std::string& path, std::size_t index) {
  return fmt::format("{}[{}]", path, index);
}

}  // namespace locald::project::compose
