#pragma once
#include <string>
#include <utility>

#include "base/json/json.h"

namespace locald {

/// An object of what a map holds, in its order, in linear time: Json::set() looks for the name
/// among all members before it, which a map of an image's or a file's making must not pay for.
template <typename Map>
Json json_of(const Map& map) {
  Json::Object out;
  out.reserve(map.size());
  for (const auto& [name, value] : map) out.emplace_back(name, Json(value));
  return Json(std::move(out));
}

}  // namespace locald
