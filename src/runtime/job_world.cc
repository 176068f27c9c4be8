#include "runtime/job_world.h"

namespace locald::runtime {

const Fields& JobWorld::fields() {
  using W = JobWorld;
  static const Fields table = FieldsOf<W>("job")
                                  .field("file", &W::file, "a descriptor that is handed over")
                                  .path("images", &W::images, "the folder of images")
                                  .path("layers", &W::layers, "the folder of layers")
                                  .path("scratch", &W::scratch, "a folder to mount in")
                                  .field("id_map", &W::id_map, "root, subuid or single")
                                  .field("map_id", &W::map_id, "names the map of layers");
  return table;
}

}  // namespace locald::runtime
