// Layers made of hostile names, links and whiteouts (or of any bytes), applied in both forms.
//
// Nothing beside the layer's root may change, and a layer upon nothing must come to the same tree
// in both forms. As root the target gives its privileges away first: a fault must not reach the
// machine it is found on.
#include <fcntl.h>
#include <grp.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "bytes.h"
#include "oci/archive/test_tar.h"
#include "oci/layer/layer_apply.h"
#include "oci/layer/test_tree.h"

namespace {

using namespace locald;
using namespace locald::oci;
using Tree = std::map<std::string, std::string>;

std::string path(Bytes& from) {
  static const char* const parts[] = {"a", "b",      "c",     "..",           ".",
                                      "",  "canary", ".wh.a", ".wh..wh..opq", ".wh..wh.plnk"};
  std::string out;
  for (int n = from.number(1, 5); n-- > 0;)
    out += (out.empty() ? "" : "/") + std::string(from.pick(parts));
  return from.number(0, 7) == 0 ? "/" + out : out;
}

std::string layer(Bytes& from) {
  if (from.number(0, 15) == 0) return from.rest();
  test::TarBuilder tar;
  for (int n = 0; n < 40 && from.left() > 0; ++n) {
    const std::string name = path(from);
    switch (from.number(0, 9)) {
      case 0:
      case 1:
        tar.file(name, from.text(8));
        break;
      case 2:
      case 3:
        tar.dir(name);
        break;
      case 4:
        tar.symlink(name, path(from));
        break;
      case 5:
        tar.hardlink(name, path(from));
        break;
      case 6:
        tar.whiteout("", name);
        break;
      case 7:
        tar.opaque(name + "/");
        break;
      case 8:
        tar.fifo(name);
        break;
      default:
        tar.pax({{"SCHILY.xattr.user.overlay.opaque", "y"}, {"path", name + from.text(20)}})
            .dir("x");
    }
  }
  return tar.bytes();
}

void check(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

Tree without_whiteouts(Tree tree) {
  std::erase_if(tree, [](const auto& node) { return node.second == "whiteout"; });
  return tree;
}

bool give_root_away() {
  if (::geteuid() == 0)
    check(::setgroups(0, nullptr) == 0 && ::setresgid(65534, 65534, 65534) == 0 &&
              ::setresuid(65534, 65534, 65534) == 0,
          "cannot give root's privileges away");
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  [[maybe_unused]] static const bool given_away = give_root_away();
  Bytes from(data, size);
  const test::TempDir dir;
  (void)dir.make("canary");
  check(write_file_atomic(dir / "canary/file", "untouched").has_value(), "canary");
  const UniqueFd flat(::open(dir.make("flat").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd overlay(::open(dir.make("overlay").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd fresh(
      ::open(dir.make("overlay-fresh").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto others = [&] {
    Tree tree = test::snapshot(dir.path(), /*full=*/true);
    std::erase_if(tree, [](const auto& node) {
      return node.first.starts_with("flat") || node.first.starts_with("overlay");
    });
    return tree;
  };
  const Tree before = others();
  ApplyOptions options;
  options.id_map = IdMap::single;
  options.limits.max_logical_bytes = 64u << 20;
  options.limits.max_entries = 1000;
  for (int layers = from.number(1, 2); layers > 0; --layers) {
    const std::string tar = layer(from);
    test::StringSource one(tar);
    test::StringSource two(tar);
    const auto a = apply_layer_flat(one, "", flat.get(), options);
    if (layers == 1 || !a) {
      const auto b = apply_layer_overlay(two, "", fresh.get(), LowerLayers{}, options);
      // The flat form stood upon an earlier layer, which may hold what a link needs: then only
      // safety is compared.
      if (test::snapshot(dir / "flat").size() == 1 && a)
        check(b.has_value(), b ? "" : b.error().message().c_str());
      break;
    }
    const auto b = apply_layer_overlay(two, "", overlay.get(), LowerLayers{}, options);
    check(b.has_value(), "overlay form refused what flat form took");
    check(test::snapshot(dir / "flat") == without_whiteouts(test::snapshot(dir / "overlay")),
          "the two forms differ");
  }
  check(others() == before, "something outside of the root has changed");
  return 0;
}
