#pragma once
#include <functional>
#include <map>
#include <string>

#include "base/json/json.h"
#include "base/result.h"
#include "oci/ref/digest.h"
#include "oci/spec/descriptor.h"

namespace locald::cnb {

/// A layer of an app's image as it was packed.
struct PackedLayer {
  oci::Digest diff_id;
  oci::Descriptor blob;

  Json to_json() const;
  static Result<PackedLayer> from_json(const Json& json);
};
/// By AppLayer::key.
using PackedLayers = std::map<std::string, PackedLayer>;

Json to_json(const PackedLayers& layers);
/// What cannot be read is left out: it is packed again.
PackedLayers packed_layers_from_json(const Json& json);

/// Worker side of an export: packs the layers of app_layers() into the image store from the app's
/// folder. Of `known` layers those whose blob the store still has are not packed again. Parents of a
/// layer's folder keep their owners, but for an id map of one id, where they are `owner`'s too: on
/// disk everything is the one's.
///
/// @param job  ExportJob. @return ExportResult
Result<Json> export_job(const Json& job, const std::function<void(Json)>& progress);

}  // namespace locald::cnb
