#include "builder/assembly.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error_kind.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/jobs.h"
#include "builder/mount_plan.h"
#include "builder/spec_builder.h"
#include "builder/storage.h"
#include "builder/volumes.h"
#include "net/hosts_file.h"
#include "net/resolv_file.h"

namespace locald::builder {
namespace {

constexpr std::chrono::minutes kLookLimit{2};  // for a worker that only looks and makes folders

/// One container on its way to a bundle; the steps are called in order.
class Assembler {
 public:
  Assembler(const Assembly& a, const std::string& destination, const PrepareContext& context)
      : a_(a), destination_(destination), context_(context) {}

  Result<runtime::ContainerBundle> run() {
    host_ = TRY(a_.environment.host());
    plan_ = TRY(MountPlan::make(a_.options, a_.image));
    const PathJudge judge = a_.environment.judge();
    for (PlannedMount& mount : plan_.mounts) {
      if (mount.kind == VolumeMount::Kind::own) mount.is_file = TRY(is_file(mount.source));
      if (mount.kind != VolumeMount::Kind::bind) continue;
      const JudgedPath& bind = binds_.emplace_back(TRY(open_bind(mount.source, judge)));
      mount.source = bind.path;
      mount.is_file = !bind.is_folder();
    }
    // Two starts of one container, or two that share new facts, wait for each other.
    const auto mutex = a_.environment.lock_for("container/" + a_.container_key);
    const std::lock_guard lock(*mutex);
    TRY(stand_on_layers());
    TRY(learn());
    TRY(make_mount_points());
    TRY(make_volumes());
    return finish();
  }

 private:
  std::string folder() const { return a_.environment.paths().container(a_.container_key); }
  std::string upper() const { return folder() + "/upper"; }
  std::string work() const { return folder() + "/work"; }

  void phase(const char* name, const std::string& item = {}) const {
    if (context_.progress) context_.progress({.phase = name, .item = item});
  }

  static Result<bool> is_file(const std::string& path) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) return Error::from_errno(errno, "mount " + path);
    return !S_ISDIR(st.st_mode);
  }

  Result<void> stand_on_layers() {
    const auto mutex = a_.environment.lock_for(kInUse);
    const std::lock_guard lock(*mutex);
    for (const std::string& lower : a_.lowers)
      if (!exists(a_.lower_base + "/" + lower))
        return Error(Errc::not_found, "the container's layers were removed while it started")
            .with_hint("start it again: missing layers are fetched or built");
    return open_upper();
  }

  /// The writable folder: its content stays, unless it lies above another image.
  Result<void> open_upper() {
    const std::string stamp_file = folder() + "/" + std::string(kImageStamp);
    if (exists(folder())) {
      const auto stamp = read_file(stamp_file, 4096);
      if (!stamp && !says_something(stamp.error())) return stamp.error();  // not for that
      if (stamp && *stamp == a_.stamp && exists(upper())) return {};
      TRY(remove_container(a_.environment, a_.container_key, context_.stop));
    }
    fresh_ = true;
    TRY(make_dirs(folder()));
    TRY(sys::mkdirat(AT_FDCWD, work(), 0700));
    TRY(sys::mkdirat(AT_FDCWD, upper(), 0755));
    return write_file_atomic(stamp_file, a_.stamp);
  }

  FactsJob look_job(const std::vector<std::string>& paths) const {
    FactsJob job;
    job.lowers = a_.lowers;
    job.lower_base = a_.lower_base;
    job.paths = paths;
    return job;
  }

  Result<ImageFacts> look(const FactsJob& job) const {
    phase("look");
    return ImageFacts::from_json(TRY(a_.environment.run(encode(job), {}, context_.stop, kLookLimit)
                                         .context("look into the image")));
  }

  /// The facts of the image: from the file, or collected and kept there.
  Result<void> learn() {
    const std::vector<std::string> wanted = plan_.interesting_paths();
    if (!fresh_) {
      // The container that ran here before may have changed anything: look at the tree with
      // its writable folder, and make what is missing, in one go.
      const FactsJob job = creating_job(wanted, plan_.wanted_points(), /*fresh=*/false);
      facts_ = TRY(look(job));
      points_made_ = true;
      return {};
    }
    if (a_.facts_file.empty()) {
      facts_ = TRY(look(look_job(wanted)));
      return {};
    }
    const auto mutex = a_.environment.lock_for("facts/" + a_.facts_file);
    const std::lock_guard lock(*mutex);
    const std::string map = TRY(a_.environment.map_id());
    std::optional<ImageFacts> known = ImageFacts::load(a_.facts_file, map);
    std::vector<std::string> missing = known ? known->missing_of(wanted) : wanted;
    if (!missing.empty()) {
      ImageFacts more = TRY(look(look_job(missing)));
      if (known) more.paths.insert(known->paths.begin(), known->paths.end());
      // What cannot be kept is collected again by the next start.
      (void)more.save(a_.facts_file, map);
      known = std::move(more);
    }
    facts_ = std::move(*known);
    return {};
  }

  FactsJob creating_job(const std::vector<std::string>& paths,
                        const std::vector<WantedPoint>& points, bool fresh) const {
    FactsJob job = look_job(paths);
    job.upper = upper();
    job.work = work();
    job.fresh = fresh;
    for (const WantedPoint& point : points) job.create.push_back({point.path, point.is_file});
    return job;
  }

  /// What is mounted needs a place that is ours: missing
  /// ones are made in the writable folder now, before the runtime sees the tree.
  Result<void> make_mount_points() {
    TRY(plan_.settle(facts_));
    if (points_made_) return {};
    std::vector<WantedPoint> missing;
    for (const WantedPoint& point : plan_.wanted_points())
      if (const PathFacts* at = facts_.find(point.path);
          at != nullptr && at->kind == PathFacts::Kind::missing)
        missing.push_back(point);
    if (plain_root() && std::all_of(missing.begin(), missing.end(),
                                    [&](const WantedPoint& p) { return plain_way(p); })) {
      if (::chmod(upper().c_str(), facts_.root.mode) != 0)
        return Error::from_errno(errno, "chmod " + upper());
      for (const WantedPoint& point : missing) TRY(make_point(point));
      return {};
    }
    // Owners that only a worker can give.
    facts_ = TRY(look(creating_job(plan_.interesting_paths(), missing, /*fresh=*/true)));
    return {};
  }

  bool plain_root() const { return is_plain(facts_.root); }
  bool plain_way(const WantedPoint& point) const {
    const PathFacts& at = *facts_.find(point.path);
    return std::all_of(at.ancestors.begin(), at.ancestors.end(), is_plain);
  }
  /// Root's (which this process is, inside) and nothing but a mode: ours to repeat.
  static bool is_plain(const Attributes& a) { return a.uid == 0 && a.gid == 0 && a.plain; }

  /// In a writable folder that nobody has used: no symlinks, nobody racing. A folder that is
  /// in the image too is repeated with its mode; the overlay merges the two.
  Result<void> make_point(const WantedPoint& point) const {
    const PathFacts& at = *facts_.find(point.path);
    std::vector<std::string> names = split(at.resolved, '/');
    std::erase(names, "");
    UniqueFd dir = TRY(sys::open(upper(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i + 1 == names.size() && point.is_file) {
        const UniqueFd file =
            TRY(sys::openat(dir.get(), names[i], O_WRONLY | O_CREAT | O_NOFOLLOW, 0644));
        if (::fchmod(file.get(), 0644) != 0)
          return Error::from_errno(errno, "chmod " + at.resolved);
        break;
      }
      TRY(sys::mkdirat(dir.get(), names[i], 0755));
      dir = TRY(sys::openat(dir.get(), names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      const mode_t mode = i < at.ancestors.size() ? at.ancestors[i].mode : 0755;
      if (::fchmod(dir.get(), mode) != 0) return Error::from_errno(errno, "chmod " + at.resolved);
    }
    return {};
  }

  /// Named volumes and those without a name: a new one starts with the image's content.
  Result<void> make_volumes() {
    for (PlannedMount& mount : plan_.mounts) {
      if (mount.kind != VolumeMount::Kind::named) continue;
      const bool anonymous = mount.source.empty();
      const std::string name =
          anonymous ? anonymous_volume_name(
                          a_.options.volume_key.empty() ? a_.container_key : a_.options.volume_key,
                          mount.asked)
                    : mount.source;
      mount.source = a_.environment.paths().volume(a_.options.project, name);
      if (anonymous) anonymous_.push_back(mount.source);
      const auto mutex = a_.environment.lock_for("volume/" + mount.source);
      const std::lock_guard lock(*mutex);
      if (exists(mount.source)) continue;
      const PathFacts* at = facts_.find(mount.asked);
      const bool in_image = fresh_ && at != nullptr && at->kind == PathFacts::Kind::folder;
      if (in_image && at->empty && is_plain(at->attributes) && at->attributes.mode == 0755) {
        TRY(make_volume(-1, mount.source));
        continue;
      }
      if (mount.nested || (fresh_ && !in_image)) {
        TRY(make_volume(-1, mount.source));
        continue;
      }
      phase("volume", anonymous ? mount.target : name);
      VolumeJob job;
      job.lowers = a_.lowers;
      job.lower_base = a_.lower_base;
      job.source = mount.target;
      job.target = mount.source;
      TRY(a_.environment.run(encode(job), {}, context_.stop)
              .context("volume " + (anonymous ? mount.target : name)));
    }
    return {};
  }

  Result<runtime::ContainerBundle> finish() {
    const std::string hostname = a_.options.hostname.empty()
                                     ? destination_.substr(destination_.rfind('/') + 1)
                                     : a_.options.hostname;
    const auto own_file = [&](const std::string& path, const std::string& target) {
      return ReadyMount{.source = destination_ + path.substr(path.rfind('/')), .target = target};
    };
    std::vector<ReadyMount> own, in_volume;
    for (const auto& [path, target] : plan_.own_files) own.push_back(own_file(path, target));
    for (const std::string& path : plan_.files_in_volume) in_volume.push_back(own_file(path, path));
    // What the shim has mounted there by descriptor: no name that a container could exchange.
    std::vector<ReadyMount> mounts = plan_.ready();
    std::size_t number = 0;
    for (ReadyMount& mount : mounts)
      if (mount.kind == VolumeMount::Kind::bind)
        mount.source = runtime::ContainerBundle::bind_point(destination_, number++);
    BuiltSpec built = TRY(build_spec({.image = a_.image,
                                      .options = a_.options,
                                      .facts = facts_,
                                      .host = host_,
                                      .mounts = std::move(mounts),
                                      .own_files = std::move(own),
                                      .files_in_volume = std::move(in_volume),
                                      .fallback_hostname = hostname}));
    TRY(warn_of_binds(built));
    const net::Attachment network = context_.connect ? TRY(context_.connect()) : a_.options.network;
    if (context_.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    std::vector<runtime::HostBind> binds;
    for (const PlannedMount& mount : plan_.mounts) {
      if (mount.kind != VolumeMount::Kind::bind) continue;
      JudgedPath& bind = binds_[binds.size()];
      binds.push_back({std::move(bind.fd), bind.path, bind.is_folder(), mount.read_only});
    }
    runtime::ContainerBundle bundle = TRY(runtime::ContainerBundle::create(
        destination_,
        {.lowers = a_.lowers, .lower_base = a_.lower_base, .upper = upper(), .work = work()},
        std::move(built.spec), std::move(binds)));
    if (auto written = write_own_files(hostname, network); !written) {
      (void)remove_tree(destination_);
      return std::move(written).error().with_context("bundle " + destination_);
    }
    bundle.stop_signal = built.stop_signal;
    bundle.netns = network.netns;
    bundle.sandbox = network.sandbox;
    bundle.anonymous_volumes = std::move(anonymous_);
    bundle.notices = std::move(built.notices);
    return bundle;
  }

  Result<void> warn_of_binds(BuiltSpec& built) const {
    const auto ids = TRY(a_.environment.host_ids());
    std::size_t number = 0;
    for (const PlannedMount& mount : plan_.mounts) {
      if (mount.kind != VolumeMount::Kind::bind) continue;
      const JudgedPath& bind = binds_[number++];
      if (mount.read_only) continue;
      if (auto warning = bind_warning(bind, mount.target, built.user, ids))
        built.notices.push_back(std::move(*warning));
    }
    return {};
  }

  /// The files every container has of its own, from the host's present ones.
  Result<void> write_own_files(const std::string& hostname, const net::Attachment& network) const {
    const auto write = [&](const char* name, const std::string& text) -> Result<void> {
      const UniqueFd file =
          TRY(sys::open(destination_ + "/" + name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
      if (::fchmod(file.get(), 0644) != 0)
        return Error::from_errno(errno, "chmod");  // read by every user inside
      return sys::write_all(file.get(), text);
    };
    // Missing or unreadable ones of the host are as good as empty: a name may then not resolve, and
    // says so itself.
    // What the host's names stand for is the host's: in a network of its own they lead elsewhere.
    const bool host = network.kind == net::Attachment::Kind::host;
    TRY(write("hosts", net::hosts_text(host ? read_file("/etc/hosts", 8u << 20).value_or("") : "",
                                       hostname, network.names)));
    TRY(write("hostname", hostname + "\n"));
    return write("resolv.conf", host ? read_file("/etc/resolv.conf", 1u << 20).value_or("")
                                     : net::resolv_text(network.nameservers, network.search,
                                                        network.resolver_options));
  }

  const Assembly& a_;
  const std::string& destination_;
  const PrepareContext& context_;
  HostFacts host_;
  MountPlan plan_;
  ImageFacts facts_;
  std::vector<JudgedPath> binds_;  // of the plan's mounts of that kind, in their order
  std::vector<std::string> anonymous_;
  bool fresh_ = false;        // nobody has written to the upper folder yet
  bool points_made_ = false;  // by the worker that looked
};

}  // namespace

Result<runtime::ContainerBundle> assemble(const Assembly& assembly, const std::string& destination,
                                          const PrepareContext& context) {
  return Assembler(assembly, destination, context).run();
}

}  // namespace locald::builder
