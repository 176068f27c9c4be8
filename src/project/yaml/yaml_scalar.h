#pragma once
#include <string>
#include <string_view>

#include "base/node/node.h"
#include "base/result.h"

/// What a scalar of YAML is. Pure.
///
///     true True TRUE false …   a bool; yes, no, on and off are strings
///     null Null NULL ~ and ""  nothing
///     12  -3  1_000  0x10  0b1  0o17  017   whole numbers; the last two are 15
///     1.0  .5  1e3  .inf  .nan              floats
///     12:30  2020-01-02                     strings: no base 60, and dates keep their text
namespace locald::project {

/// @param tag    As libyaml gives it: "" for none, "tag:yaml.org,2002:int" for `!!int`.
/// @param plain  Without quotes, not a block: only then does a text without a tag have a type.
/// @return Errc::invalid_input where the text is not what the tag says, and for `!!binary`.
Result<Node> yaml_scalar(std::string_view text, std::string_view tag, bool plain);

/// A number as text that programs are given: 1.0 is "1", 1e3 "1000", 1e21 "1e+21".
std::string number_text(double number);

}  // namespace locald::project
