#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace locald {

// clang-format off
/// The tree on disk, drawn once (R-NAMES).
///
///     DATA   $XDG_DATA_HOME/locald   0700   (root: /var/lib/locald; LOCALD_HOME/data)
///     |-- images/                    an OCI image layout
///     |   `-- ingest/                downloads under way, never trusted
///     |-- layers/<diffID>/           an extracted layer, overlay form; `l/<short>` short links
///     |-- facts/<manifest digest>    what the server needs to know of an image's tree (users,
///     |                              mount points)
///     |-- containers/<instance key>/ upper/ and work/: writable part of one service's container
///     |-- volumes/<project>/<name>/
///     |-- cnb/<app>/                 an app of buildpacks: its inside is drawn in
///     |                              cnb/store/app_store.h
///     |-- cnb/.buildpacks/           buildpacks that projects add to builders:
///     |                              cnb/buildpacks/buildpack_store.h
///     `-- cnb/.lifecycle/<builder's digest>.json   what its exporter says of itself
///     STATE  $XDG_STATE_HOME/locald  0700   (root: /var/lib/locald/state; LOCALD_HOME/state)
///     |-- projects.json              project name -> folder
///     |-- containers.json            what `container run` made, and how it ended
///     |-- networks.json              addresses and chosen ports of projects
///     |-- services/<project>/<service>/log/   segments, see base/log/log_format.h
///     |-- builds/<app>/<number>/     what the phases of a build said: segments too
///     |-- server.log
///     |-- server.lock                held by the server: one for all run folders that share this
///     |                              state folder, also where one of those is deleted
///     |-- networks/<project>.json    netd.json once more, for the same
///     |-- cni/<project>/             places.json: what CNI plugins were asked to make; kept/: what
///     |                              they keep
///     `-- instances/<instance>.json  instance.json once more, for when the run folder is deleted;
///                                    no environments
///     RUN    $XDG_RUNTIME_DIR/locald 0700   (root: /run/locald; LOCALD_HOME/run)
///     |-- server.sock, server.lock
///     |-- projects/<project>.json    0600: what `up` resolved (environments too);
///     |                              <project>.state.json: what became of it
///     |-- notify/<instance>          socket on which a service says READY=1; <instance>.ready: it has
///     |-- svc/<instance>/            ctl.sock, instance.json, exit.json (one start of one service)
///     |-- bundles/<instance>/        config.json, rootfs/ and binds/N (mount points in the shim's
///     |                              namespace)
///     |-- net/<project>/             of its locald-netd: netd.sock, outside.sock, netd.json
///     `-- runc/                      runc's --root
///
/// CONFIG  $XDG_CONFIG_HOME/locald/config.toml (LOCALD_HOME/config.toml)
// clang-format on
class Paths {
 public:
  using Env = std::function<std::optional<std::string>(const std::string& name)>;

  /// From the environment (HOME, XDG_*, LOCALD_HOME) and `uid`. Nothing is created.
  /// Without XDG_RUNTIME_DIR: /run/user/UID if it is ours, else /tmp/locald-UID.
  /// @return Errc::invalid_input when neither HOME nor LOCALD_HOME is an absolute path.
  static Result<Paths> from_env(const Env& env, unsigned uid);
  /// From this process's environment and real uid.
  static Result<Paths> from_process();

  /// Creates the three roots 0700 and checks that each is a folder that is
  /// ours alone, no symlink. @return Errc::denied naming the folder and what is wrong.
  Result<void> create() const;

  const std::string& data() const noexcept { return data_; }
  const std::string& state() const noexcept { return state_; }
  const std::string& run() const noexcept { return run_; }
  const std::string& config_file() const noexcept { return config_; }
  bool runtime_dir_is_fallback() const noexcept {
    return fallback_;
  }  ///< /tmp/locald-UID: `doctor` says so

  std::string images() const { return data_ + "/images"; }
  std::string layers() const { return data_ + "/layers"; }
  std::string facts() const { return data_ + "/facts"; }
  std::string containers() const { return data_ + "/containers"; }
  std::string container(std::string_view key) const {
    return containers() + "/" + std::string(key);
  }
  std::string volumes() const { return data_ + "/volumes"; }
  std::string volume(std::string_view project, std::string_view name) const {
    return volumes() + "/" + std::string(project) + "/" + std::string(name);
  }
  std::string cnb() const { return data_ + "/cnb"; }
  std::string lifecycle_facts() const { return cnb() + "/.lifecycle"; }
  std::string cnb_app(std::string_view app) const { return cnb() + "/" + std::string(app); }
  std::string cnb_buildpacks() const { return cnb() + "/.buildpacks"; }
  std::string builds(std::string_view app) const { return state_ + "/builds/" + std::string(app); }
  std::string projects_file() const { return state_ + "/projects.json"; }
  std::string containers_file() const { return state_ + "/containers.json"; }
  std::string networks_file() const { return state_ + "/networks.json"; }
  std::string service_log(std::string_view project, std::string_view service) const {
    return state_ + "/services/" + std::string(project) + "/" + std::string(service) + "/log";
  }
  std::string server_log() const { return state_ + "/server.log"; }
  std::string state_lock() const { return state_ + "/server.lock"; }
  std::string instance_records() const { return state_ + "/instances"; }
  std::string instance_record(std::string_view id) const {
    return instance_records() + "/" + std::string(id) + ".json";
  }
  std::string network_records() const { return state_ + "/networks"; }
  std::string network_record(std::string_view project) const {
    return network_records() + "/" + std::string(project) + ".json";
  }
  std::string cni_records() const { return state_ + "/cni"; }
  std::string cni(std::string_view project) const {
    return cni_records() + "/" + std::string(project);
  }
  std::string server_socket() const { return run_ + "/server.sock"; }
  std::string server_lock() const { return run_ + "/server.lock"; }
  std::string run_projects() const { return run_ + "/projects"; }
  std::string run_project(std::string_view project) const {
    return run_projects() + "/" + std::string(project) + ".json";
  }
  std::string run_project_state(std::string_view project) const {
    return run_projects() + "/" + std::string(project) + ".state.json";
  }
  std::string notify_socket(std::string_view id) const {
    return run_ + "/notify/" + std::string(id);
  }
  std::string notify_marker(std::string_view id) const { return notify_socket(id) + ".ready"; }
  std::string instances() const { return run_ + "/svc"; }
  std::string instance(std::string_view id) const { return instances() + "/" + std::string(id); }
  std::string bundles() const { return run_ + "/bundles"; }
  std::string bundle(std::string_view id) const { return bundles() + "/" + std::string(id); }
  std::string networks() const { return run_ + "/net"; }
  std::string network(std::string_view project) const {
    return networks() + "/" + std::string(project);
  }
  std::string runc_root() const { return run_ + "/runc"; }

 private:
  std::string data_, state_, run_, config_;
  bool fallback_ = false;
};

/// The program `name` of this installation: PREFIX/bin/locald and
/// PREFIX/libexec/locald/{locald-server,locald-shim}, found relative to the
/// running binary, so that a build tree, a prefix and a package all work.
/// @return Errc::not_found with the place that was looked at.
Result<std::string> find_own_program(std::string_view name);

}  // namespace locald
