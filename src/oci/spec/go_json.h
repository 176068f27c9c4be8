#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json/json.h"

/// JSON as Go's encoding/json writes it. Images of Cloud Native Buildpacks hold documents that
/// Go programs wrote; one of ours has the same digest only if it has the same bytes.
namespace locald::oci {

/// A string with its quotes. <, >, & and U+2028, U+2029 are escaped too, bytes that are not
/// UTF-8 become U+FFFD.
std::string go_string(std::string_view text);

/// Any value, as Go marshals it when it is not typed: members sorted by the bytes of their names
/// (of two of one name the last counts), whole numbers without a point, others in the shortest form
/// that reads back the same, with an exponent below 1e-6 and from 1e21 on.
std::string go_json(const Json& value);

/// Puts an object together, its members in the order of the calls: that of a Go struct.
///
///     GoObject o;
///     o.text("id", id).text_unless_empty("homepage", page).raw("layers", layers);
///     std::move(o).str();      // {"id":"x","layers":[]}
class GoObject {
 public:
  GoObject& raw(std::string_view name, std::string_view json);  ///< `json`: a value's text
  GoObject& text(std::string_view name, std::string_view value) {
    return raw(name, go_string(value));
  }
  GoObject& flag(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
  GoObject& value(std::string_view name, const Json& value) { return raw(name, go_json(value)); }

  // Left out where Go's `omitempty` leaves out.
  GoObject& text_unless_empty(std::string_view name, std::string_view value) {
    return value.empty() ? *this : text(name, value);
  }
  GoObject& raw_unless_empty(std::string_view name, std::string_view json) {
    return json.empty() ? *this : raw(name, json);
  }

  std::string str() && { return std::move(text_ += '}'); }

 private:
  std::string text_ = "{";
};

/// ["a","b"], from a list of strings; "" for an empty one, so that raw_unless_empty() leaves it
/// out.
std::string go_strings_or_nothing(const std::vector<std::string>& values);

}  // namespace locald::oci
