#pragma once
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <random>

#include "oci/archive/test_tar.h"
#include "oci/layer/layer_apply.h"
#include "oci/layer/layer_path.h"
#include "oci/layer/test_tree.h"

/// For tests that apply layers: a layer as a folder, and on top of others.
namespace locald::oci {

using test::snapshot;
using test::StringSource;
using test::TarBuilder;
using test::TempDir;
using Tree = std::map<std::string, std::string>;

/// Without root, owners are squashed; all else is the same.
inline IdMap test_map() { return ::geteuid() == 0 ? IdMap::root : IdMap::single; }

inline ApplyOptions options_for(IdMap map) {
  ApplyOptions options;
  options.id_map = map;
  return options;
}

/// One folder, layers applied upon one another.
class Flat {
 public:
  Result<AppliedLayer> apply(const std::string& tar,
                             ApplyOptions options = options_for(test_map())) {
    StringSource source(tar);
    const UniqueFd dir(::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return apply_layer_flat(source, "", dir.get(), options);
  }
  Flat& with(const TarBuilder& tar) {
    const auto done = apply(tar.bytes());
    EXPECT_TRUE(done) << (done ? "" : done.error().message());
    return *this;
  }
  std::string error(const TarBuilder& tar) {
    const auto done = apply(tar.bytes());
    return done ? "applied" : done.error().message();
  }
  Tree tree(bool full = false) const {
    Tree out = snapshot(path(), full);
    out.erase("");
    return out;
  }
  const std::string& path() const { return path_; }
  const TempDir& outer() const { return dir_; }

 private:
  TempDir dir_;
  std::string path_ = dir_.make("root");
};

/// A folder for each layer.
class Stack {
 public:
  Result<AppliedLayer> apply(const std::string& tar,
                             ApplyOptions options = options_for(test_map())) {
    const std::string path = dir_.make(std::to_string(layers_.size()));
    LowerLayers lowers;
    lowers.wait = [this]() -> Result<std::vector<std::string>> {
      return std::vector<std::string>(layers_.rbegin(), layers_.rend());
    };
    StringSource source(tar);
    const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto done = apply_layer_overlay(source, "", dir.get(), lowers, options);
    layers_.push_back(path);
    return done;
  }
  Stack& with(const TarBuilder& tar) {
    const auto done = apply(tar.bytes());
    EXPECT_TRUE(done) << (done ? "" : done.error().message());
    used_lowers = done && done->used_lowers;
    return *this;
  }
  /// The last layer alone.
  Tree top(bool full = false) const {
    Tree out = snapshot(layers_.back(), full);
    out.erase("");
    return out;
  }
  bool opaque(const std::string& name) const {
    char value = 0;
    const char* xattr =
        test_map() == IdMap::root ? "trusted.overlay.opaque" : "user.overlay.opaque";
    return ::getxattr((layers_.back() + "/" + name).c_str(), xattr, &value, 1) == 1 && value == 'y';
  }
  /// All layers as overlayfs shows them (a mount without a mount point: only its descriptor). Root
  /// only.
  Tree merged() const {
    std::string lower = "lowerdir=";
    for (auto at = layers_.rbegin(); at != layers_.rend(); ++at)
      lower += (at == layers_.rbegin() ? "" : ":") + *at;
    const std::string empty = dir_.make("empty");
    if (layers_.size() == 1) lower += ":" + empty;
    const UniqueFd fs(static_cast<int>(::syscall(SYS_fsopen, "overlay", 1u)));
    const auto set = [&](const std::string& key, const std::string& value) {
      return ::syscall(SYS_fsconfig, fs.get(), 1u /* FSCONFIG_SET_STRING */, key.c_str(),
                       value.c_str(), 0);
    };
    EXPECT_EQ(set("lowerdir", lower.substr(9)), 0) << std::strerror(errno);
    EXPECT_EQ(::syscall(SYS_fsconfig, fs.get(), 6u /* FSCONFIG_CMD_CREATE */, nullptr, nullptr, 0),
              0)
        << std::strerror(errno);
    const UniqueFd mount(
        static_cast<int>(::syscall(SYS_fsmount, fs.get(), 1u, 1u /* MOUNT_ATTR_RDONLY */)));
    EXPECT_TRUE(mount) << std::strerror(errno);
    Tree out = snapshot("/proc/self/fd/" + std::to_string(mount.get()), /*full=*/true);
    out.erase("");
    return out;
  }

  bool used_lowers = false;

 private:
  TempDir dir_;
  std::vector<std::string> layers_;
};

inline TarBuilder base() {
  TarBuilder tar;
  tar.dir("d/")
      .file("d/one", "1")
      .file("d/two", "2")
      .dir("d/sub/")
      .file("d/sub/x", "x")
      .symlink("link", "d")
      .symlink("dead", "nowhere");
  return tar;
}

}  // namespace locald::oci
