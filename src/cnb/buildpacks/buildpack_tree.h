#pragma once
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "cnb/buildpacks/buildpack_store.h"
#include "cnb/inputs/order.h"

namespace locald::cnb {

/// A tree of buildpacks under way in the store: unpacked or copied into a raw folder first,
/// then looked at, put into order and given its name, whole or not at all.
///
///     auto made = TRY(BuildpackTree::begin(store, map));
///     … write what a buildpack's folder holds into made.raw() …
///     auto module = TRY(made.place(""));         // checked, named by its buildpack.toml, moved
///     TRY(made.commit(key, {module}, "folder"));
///
/// For workers: root, or root of the user namespace. Keeps R-INSIDE. Destroying it removes what was
/// not committed.
class BuildpackTree {
 public:
  /// @param map  The id map's name: "root", "subuid", "single".
  static Result<BuildpackTree> begin(const std::string& store_dir, std::string map);
  BuildpackTree(BuildpackTree&&) noexcept = default;
  BuildpackTree& operator=(BuildpackTree&&) noexcept = default;
  ~BuildpackTree();

  /// A folder to write to; its path, for who needs one.
  int raw() const noexcept { return raw_.get(); }
  std::string raw_path() const { return path() + "/raw"; }
  /// A file beside it, new and empty.
  Result<UniqueFd> scratch_file(const std::string& name) const;
  std::string scratch_path(const std::string& name) const { return path() + "/" + name; }

  enum class Links { stay_inside, any };
  /// Takes the buildpack in `folder` of raw ("" is raw itself): checks its buildpack.toml and that
  /// its programs are there, gives all of it root as the owner, one time, and the modes 0755 and
  /// 0644, and moves it to its place.
  /// @return Errc::invalid_input naming what is wrong: no or a bad buildpack.toml, no bin/build or
  ///         bin/detect, devices and their like; with Links::stay_inside, a symlink that leads out.
  Result<Module> place(const std::string& folder, Links links = Links::stay_inside);
  /// An empty folder in the place of a buildpack: hides the one below.
  Result<void> hide(const std::string& id, const std::string& version);

  /// Names it. Another process may have been faster: then that one counts.
  /// @param durable  Waits for the disk, so that it outlives a power cut.
  Result<void> commit(const std::string& key, std::vector<Module> modules, std::string_view kind,
                      bool durable);

 private:
  BuildpackTree(std::string store_dir, std::string name, std::string map)
      : store_dir_(std::move(store_dir)), name_(std::move(name)), map_(std::move(map)) {}
  std::string path() const { return store_dir_ + "/" + name_; }
  Result<UniqueFd> make_id_dir(const std::string& id) const;
  Result<void> make_opaque(int dir) const;

  std::string store_dir_, name_, map_;
  UniqueFd store_, top_, raw_, buildpacks_;
};

}  // namespace locald::cnb
