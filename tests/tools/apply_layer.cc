// Applies layers from files, for tests and measurements:
//
//     apply_layer flat    MAP DIR   LAYER…     one upon the other into DIR
//     apply_layer overlay MAP STORE LAYER…     into STORE/0, STORE/1, … in overlay form, each
//                                              above those before
//
// MAP is root, subuid or single. Prints one line of JSON for each layer; exit 1 at the first error,
// which is printed so too.
#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/sys/sys.h"
#include "oci/layer/layer_apply.h"

namespace {

using namespace locald;
using namespace locald::oci;

class FileSource final : public ByteSource {
 public:
  explicit FileSource(UniqueFd file) : file_(std::move(file)), buffer_(256u << 10) {}
  Result<std::span<const std::byte>> read() override {
    const std::size_t n = TRY(sys::read_some(file_.get(), buffer_.data(), buffer_.size()));
    return std::span<const std::byte>(buffer_).first(n);
  }

 private:
  UniqueFd file_;
  std::vector<std::byte> buffer_;
};

Result<AppliedLayer> apply(bool overlay, const std::string& target, int index,
                           const std::string& layer, IdMap map) {
  FileSource source(TRY(sys::open(layer, O_RDONLY)));
  ApplyOptions options;
  options.id_map = map;
  if (!overlay) {
    TRY(sys::mkdirat(AT_FDCWD, target, 0755));
    const UniqueFd dir = TRY(sys::open(target, O_RDONLY | O_DIRECTORY));
    return apply_layer_flat(source, "", dir.get(), options);
  }
  const std::string tree = target + "/" + std::to_string(index);
  TRY(sys::mkdirat(AT_FDCWD, target, 0755));
  TRY(sys::mkdirat(AT_FDCWD, tree, 0755));
  const UniqueFd dir = TRY(sys::open(tree, O_RDONLY | O_DIRECTORY));
  LowerLayers lowers;
  lowers.wait = [&]() -> Result<std::vector<std::string>> {
    std::vector<std::string> below;
    for (int i = index; i-- > 0;) below.push_back(target + "/" + std::to_string(i));
    return below;
  };
  return apply_layer_overlay(source, "", dir.get(), lowers, options);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("usage: apply_layer flat|overlay root|subuid|single DIR LAYER…\n", stderr);
    return 2;
  }
  const bool overlay = std::strcmp(argv[1], "overlay") == 0;
  const std::string map = argv[2];
  const IdMap id_map = map == "root"     ? IdMap::root
                       : map == "subuid" ? IdMap::subuid
                                         : IdMap::single;
  for (int i = 4; i < argc; ++i) {
    const auto start = std::chrono::steady_clock::now();
    auto done = apply(overlay, argv[3], i - 4, argv[i], id_map);
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    if (!done) {
      std::puts(Json::object({{"layer", argv[i]},
                              {"error", done.error().text()},
                              {"code", to_string(done.error().code())}})
                    .dump()
                    .c_str());
      return 1;
    }
    std::puts(Json::object({{"layer", argv[i]},
                            {"diff_id", done->diff_id.str()},
                            {"bytes", done->bytes},
                            {"entries", done->entries},
                            {"used_lowers", done->used_lowers},
                            {"skipped_devices", done->skipped_devices},
                            {"warnings", done->warnings},
                            {"ms", ms.count()}})
                  .dump()
                  .c_str());
  }
  return 0;
}
