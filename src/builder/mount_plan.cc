#include "builder/mount_plan.h"

#include <algorithm>

#include "base/strings.h"

namespace locald::builder {
namespace {

bool is_within(const std::string& path, const std::string& folder) {
  return path == folder || folder == "/" || path.starts_with(folder + "/");
}

/// Of an image, which is from outside: each is a folder, a mount, and compared with all others.
constexpr std::size_t kMaxVolumes = 1000;

/// The runtime's own mounts: what is below them never exists in the image.
bool in_system_folder(const std::string& path) {
  return is_within(path, "/proc") || is_within(path, "/sys") || is_within(path, "/dev");
}

constexpr std::size_t kMaxTarget = 3000;  // bytes: the folder of the bundle stands before it
constexpr std::size_t kMaxName = 255;     // bytes of one folder's name

Result<void> check_target(const std::string& target, const std::string& asked) {
  bool too_long = target.size() > kMaxTarget;
  for (const std::string& name : split(target, '/')) too_long = too_long || name.size() > kMaxName;
  if (too_long)
    return Error(Errc::invalid_input,
                 "mount at " + shortened(asked, 100) + ": the path is too long")
        .with_hint("a name may have 255 bytes, the whole path 3000");
  const bool bad = target == "/" || target == "/dev" || is_within(target, "/proc") ||
                   is_within(target, "/sys") || is_within(target, "/dev/pts");
  if (!bad) return {};
  return Error(Errc::denied, "mount at " + asked +
                                 (target == asked ? "" : " (in the image that is " + target + ")") +
                                 ": nothing may be mounted over /, /dev, /proc and /sys")
      .with_hint("choose another target");
}

}  // namespace

Result<MountPlan> MountPlan::make(const ContainerOptions& options, const oci::ImageConfig& image) {
  MountPlan plan;
  if (image.volumes.size() > kMaxVolumes)
    return Error(Errc::unsupported, "the image has " + std::to_string(image.volumes.size()) +
                                        " VOLUMEs; at most " + std::to_string(kMaxVolumes) +
                                        " are mounted")
        .with_hint("use another image, or rebuild this one without them");
  for (const VolumeMount& mount : options.mounts) {
    const std::string target = TRY(normal_path(mount.target, "the mount's target"));
    TRY(check_target(target, target));
    for (const PlannedMount& other : plan.mounts)
      if (other.asked == target)
        return Error(Errc::invalid_input, "two mounts at " + target)
            .with_hint("remove one of them");
    plan.mounts.push_back({.kind = mount.kind,
                           .source = mount.source,
                           .asked = target,
                           .target = target,
                           .read_only = mount.read_only,
                           .tmpfs_bytes = mount.tmpfs_bytes});
  }
  for (const std::string& text : image.volumes) {
    const auto target = normal_path(text, "the image's VOLUME");
    // What the image says cannot be refused by its user, so what makes no sense in it is left out.
    if (!target || !check_target(*target, *target)) continue;
    if (std::any_of(plan.mounts.begin(), plan.mounts.end(),
                    [&](const PlannedMount& m) { return m.asked == *target; }))
      continue;
    plan.mounts.push_back(
        {.kind = VolumeMount::Kind::named, .source = {}, .asked = *target, .target = *target});
  }
  for (PlannedMount& mount : plan.mounts)
    mount.nested =
        std::any_of(plan.mounts.begin(), plan.mounts.end(), [&](const PlannedMount& other) {
          return other.asked != mount.asked && is_within(mount.asked, other.asked);
        });
  plan.workdir_ = TRY(container_workdir(image, options));
  for (const char* file : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
    if (!plan.inside_a_mount(file))
      plan.own_files.emplace_back(file, file);
    else if (plan.volume_takes(file))
      plan.files_in_volume.emplace_back(file);
  return plan;
}

/// A bind's files are its user's, and nothing is made in what is read-only.
bool MountPlan::volume_takes(const std::string& file) const {
  return std::all_of(mounts.begin(), mounts.end(), [&](const PlannedMount& m) {
    return !is_within(file, m.asked) ||
           ((m.kind == VolumeMount::Kind::named || m.kind == VolumeMount::Kind::tmpfs) &&
            !m.read_only && m.asked != file);
  });
}

bool MountPlan::inside_a_mount(const std::string& path) const {
  return std::any_of(mounts.begin(), mounts.end(),
                     [&](const PlannedMount& m) { return is_within(path, m.asked); });
}

std::vector<std::string> MountPlan::interesting_paths() const {
  std::vector<std::string> paths = common_paths();
  const auto add = [&](const std::string& path) {
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
  };
  add(workdir_);
  for (const PlannedMount& mount : mounts)
    if (!mount.nested && !in_system_folder(mount.asked)) add(mount.asked);
  return paths;
}

std::vector<WantedPoint> MountPlan::wanted_points() const {
  std::vector<WantedPoint> points = {{"/dev"}, {"/proc"}, {"/sys"}};
  for (const auto& [file, target] : own_files) points.push_back({file, /*is_file=*/true});
  for (const PlannedMount& mount : mounts)
    if (!mount.nested && !in_system_folder(mount.asked))
      points.push_back({mount.asked, mount.is_file});
  if (workdir_ != "/" && !in_system_folder(workdir_) && !inside_a_mount(workdir_))
    points.push_back({workdir_});
  return points;
}

Result<void> MountPlan::settle(const ImageFacts& facts) {
  for (const char* path : {"/dev", "/proc", "/sys"}) {
    const PathFacts* at = facts.find(path);
    if (at == nullptr) return Error(Errc::failed, std::string("no facts about ") + path);
    if (at->resolved != path || at->kind == PathFacts::Kind::file ||
        at->kind == PathFacts::Kind::other)
      return Error(Errc::denied, std::string("the image's ") + path + " is not a folder but " +
                                     (at->resolved != path ? "a symlink to " + at->resolved
                                                           : std::string("a file")))
          .with_hint("the image is malformed or malicious; it is not started");
  }
  // The runtime reads these itself, in the container: a FIFO would hang it, a device feed it for
  // ever (CVE-2024-9676).
  for (const char* file : {"/etc/passwd", "/etc/group"}) {
    const PathFacts* at = facts.find(file);
    if (at == nullptr || inside_a_mount(file)) continue;
    const bool harmless = at->kind == PathFacts::Kind::file || at->kind == PathFacts::Kind::missing;
    if (!harmless || in_system_folder(at->resolved))
      return Error(Errc::denied, std::string("the image's ") + file + " is not a regular file" +
                                     (at->resolved != file ? " (it is " + at->resolved + ")" : ""))
          .with_hint("the image is malformed or malicious; it is not started");
  }
  for (auto& [file, target] : own_files) {
    const PathFacts* at = facts.find(file);
    if (at == nullptr) return Error(Errc::failed, "no facts about " + file);
    if (at->kind == PathFacts::Kind::folder || at->kind == PathFacts::Kind::other ||
        in_system_folder(at->resolved))
      return Error(Errc::denied,
                   "the image's " + file + " is not a file (it is " + at->resolved + ")")
          .with_hint("the image is malformed or malicious; it is not started");
    target = at->resolved;
  }
  for (PlannedMount& mount : mounts) {
    if (mount.nested || in_system_folder(mount.asked)) continue;
    const PathFacts* at = facts.find(mount.asked);
    if (at == nullptr) return Error(Errc::failed, "no facts about " + mount.asked);
    TRY(check_target(at->resolved, mount.asked));
    const bool fits = at->kind == PathFacts::Kind::missing ||
                      at->kind == (mount.is_file ? PathFacts::Kind::file : PathFacts::Kind::folder);
    if (!fits)
      return Error(Errc::invalid_input,
                   "mount " + (mount.source.empty() ? "a volume" : mount.source) + " at " +
                       mount.asked + ": " +
                       (mount.is_file ? "a file cannot stand where the image has a folder"
                                      : "a folder cannot stand where the image has a file"))
          .with_hint("choose another target");
    mount.target = at->resolved;
  }
  // What lies in another mount goes where that one went.
  for (PlannedMount& mount : mounts) {
    if (!mount.nested) continue;
    const PlannedMount* outer = nullptr;
    for (const PlannedMount& other : mounts)
      if (!other.nested && other.asked != mount.asked && is_within(mount.asked, other.asked))
        outer = &other;
    if (outer != nullptr) mount.target = outer->target + mount.asked.substr(outer->asked.size());
    TRY(check_target(mount.target, mount.asked));
  }
  if (const PathFacts* at = facts.find(workdir_); at != nullptr && !inside_a_mount(workdir_)) {
    if (at->kind == PathFacts::Kind::file || at->kind == PathFacts::Kind::other)
      return Error(Errc::invalid_input,
                   "the working folder " + workdir_ + " is not a folder in the image");
    if (is_within(at->resolved, "/proc"))  // CVE-2024-21626
      return Error(Errc::denied,
                   "the working folder " + workdir_ + " leads into /proc (" + at->resolved + ")");
  }
  return {};
}

std::vector<ReadyMount> MountPlan::ready() const {
  std::vector<ReadyMount> out;
  for (const PlannedMount& mount : mounts)
    out.push_back({.kind = mount.kind,
                   .source = mount.kind == VolumeMount::Kind::tmpfs ? "" : mount.source,
                   .target = mount.target,
                   .read_only = mount.read_only,
                   .tmpfs_bytes = mount.tmpfs_bytes});
  return out;
}

}  // namespace locald::builder
