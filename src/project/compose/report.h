#pragma once
#include <string>
#include <string_view>

#include "base/node/node.h"
#include "project/project_spec.h"

/// What the steps of loading say of a file, each at its place.
namespace locald::project::compose {

struct Report {
  Problems problems;  ///< with one of them the project is not to be used
  Problems notices;   ///< what people should know; as many as kMaxNotices are kept

  bool good() const noexcept { return problems.empty(); }
  void problem(const Node& at, std::string message, std::string hint = {});
  /// At the key of `member` instead of its value.
  void key_problem(const Node& member, std::string message, std::string hint = {});
  void problem(const Node& at, const std::string& where, const Error& error);
  /// The same notice of one place is told once.
  void notice(const Node& at, std::string message, std::string hint = {});
  void notice(TextProblem notice);
};

/// "a string", "a list", "a mapping", "a number", "true or false", "nothing".
std::string_view kind_word(const Node& value) noexcept;

/// A scalar as text; "" for what is not one.
std::string scalar_text(const Node& value);

/// The value and all below it.
std::size_t count_nodes(const Node& value);

/// "services.web" and "ports": "services.web.ports".
std::string member_path(const std::string& path, std::string_view key);
std::string item_path(const std::string& path, std::size_t index);  ///< "services.web.ports[0]"

}  // namespace locald::project::compose
