#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace locald {

class Json;

/// One JSON value as compact text: what is written once and read elsewhere needs no tree.
class JsonText {
 public:
  /// @param text  one value, as Json::dump() and encode_text() write it
  explicit JsonText(std::string text) : text_(std::move(text)) {}
  const std::string& str() const noexcept { return text_; }

 private:
  std::string text_;
};

/// Each appends one value to `out`.
namespace json_text {

void append_string(std::string& out, std::string_view text);
void append_integer(std::string& out, std::int64_t number);
void append_real(std::string& out, double number);  ///< not finite: 0
inline void append_bool(std::string& out, bool value) { out += value ? "true" : "false"; }
void append_json(std::string& out, const Json& value);

}  // namespace json_text
}  // namespace locald
