#include "oci/spec/descriptor.h"

#include <limits>

#include "base/json/json_map.h"

namespace locald::oci {

Result<Descriptor> Descriptor::from_json(const Json& object) {
  if (!object.is_object()) return Error(Errc::invalid_input, "a descriptor is not an object");
  Digest digest = TRY(Digest::parse(TRY(object.get_string("digest"))));
  const std::int64_t size = TRY(object.get_int("size"));
  if (size < 0) return Error(Errc::invalid_input, digest.str() + ": a negative size");
  Descriptor out{TRY(object.get_string_or("mediaType", "")), std::move(digest),
                 static_cast<std::uint64_t>(size)};
  const Json& annotations = object["annotations"];
  if (!annotations.is_null() && !annotations.is_object())
    return Error(Errc::invalid_input, "\"annotations\" is not an object");
  for (const auto& [key, value] : annotations.as_object()) {
    if (!value.is_string())
      return Error(Errc::invalid_input, "the annotation \"" + key + "\" is not a string");
    out.annotations[key] = value.as_string();
  }
  const Json& platform = object["platform"];
  if (platform.is_object())
    out.platform = TRY(Platform::from_json(platform));
  else if (!platform.is_null())
    return Error(Errc::invalid_input, "\"platform\" is not an object");
  return out;
}

Json Descriptor::to_json() const {
  Json out =
      Json::object({{"mediaType", media_type}, {"digest", digest.str()}, {"size", size_bytes}});
  if (platform) out.set("platform", platform->to_json());
  if (!annotations.empty()) out.set("annotations", json_of(annotations));
  return out;
}

std::string Descriptor::annotation(const std::string& key) const {
  const auto found = annotations.find(key);
  return found == annotations.end() ? std::string() : found->second;
}

}  // namespace locald::oci
