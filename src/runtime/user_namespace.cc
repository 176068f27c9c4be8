#include "runtime/user_namespace.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/error_kind.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "runtime/id_map.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

using std::chrono::seconds;
constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct IdMap {
  IdMapKind kind = IdMapKind::single;
  SubidRange uids, gids;

  std::string id() const {
    if (kind == IdMapKind::single) return "single";
    auto text = [](const SubidRange& r) {
      return std::to_string(r.start) + ":" + std::to_string(r.count);
    };
    return uids == gids ? text(uids) : text(uids) + "/" + text(gids);
  }
};

std::string own_name() {
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(::getuid());
}

/// E-UIDMAP-MISSING, E-UIDMAP-NOSUID. The path of a helper that may do its work.
Result<std::string> find_helper(const std::string& name) {
  const auto path = find_program(name, kPath);
  if (!path) {
    return Error(Errc::not_found, "`" + name + "` not found")
        .with_hint("sudo apt-get install uidmap (Fedora: shadow-utils)");
  }
  struct stat st {};
  struct statvfs fs {};
  const bool setuid =
      ::stat(path->c_str(), &st) == 0 && (st.st_mode & S_ISUID) != 0 && st.st_uid == 0;
  const bool nosuid = ::statvfs(path->c_str(), &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0;
  std::array<char, 64> capability{};
  const bool caps = ::syscall(SYS_getxattr, path->c_str(), "security.capability", capability.data(),
                              capability.size()) > 0;
  if ((!setuid && !caps) || nosuid)
    return Error(Errc::denied,
                 *path + " is not setuid root and has no cap_setuid (or lies on a nosuid mount)")
        .with_hint("sudo apt-get install --reinstall uidmap");
  return *path;
}

Result<IdMap> full_map() {
  IdMap map;
  map.kind = IdMapKind::subuid;
  const std::string name = own_name();
  using Subids = decltype(parse_subids(std::string()));
  auto read = [](const char* file) -> Result<Subids> {
    auto text = read_file(file);
    if (!text && !says_something(text.error())) return std::move(text).error();
    return parse_subids(std::move(text).value_or(std::string()));
  };
  map.uids = TRY(find_subids(TRY(read("/etc/subuid")), name, ::getuid(), "/etc/subuid"));
  map.gids = TRY(find_subids(TRY(read("/etc/subgid")), name, ::getuid(), "/etc/subgid"));
  return map;
}

Result<void> run_helper(const std::string& path, int pid, unsigned own, const SubidRange& range) {
  SpawnOptions options;
  options.argv = {path,
                  std::to_string(pid),
                  "0",
                  std::to_string(own),
                  "1",
                  "1",
                  std::to_string(range.start),
                  std::to_string(range.count)};
  options.env = {std::string("PATH=") + kPath};
  const Output output = TRY(run_program(options, seconds(10)));
  if (output.exit.ok()) return {};
  return Error(Errc::denied, path + ": " + std::string(trim(output.err)));
}

Result<void> write_proc(const std::string& path, const std::string& text) {
  const UniqueFd fd = TRY(sys::open(path, O_WRONLY));
  return sys::write_all(fd.get(), text).context(path);
}

/// E-USERNS-MAX, -CLONE, -APPARMOR: why the kernel said no.
Error explain(int err, const std::string& step, const std::string& shim) {
  auto sysctl = [](const char* path) {
    return std::string(trim(read_file(path).value_or(std::string())));
  };
  if (sysctl("/proc/sys/user/max_user_namespaces") == "0")
    return Error(Errc::denied,
                 "User namespaces are disabled (user.max_user_namespaces=0). Containers need them")
        .with_hint(
            "echo 'user.max_user_namespaces=28633' | sudo tee /etc/sysctl.d/51-locald.conf && sudo "
            "sysctl --system");
  if (sysctl("/proc/sys/kernel/unprivileged_userns_clone") == "0")
    return Error(Errc::denied,
                 "This kernel forbids unprivileged user namespaces "
                 "(kernel.unprivileged_userns_clone=0)")
        .with_hint(
            "echo 'kernel.unprivileged_userns_clone=1' | sudo tee /etc/sysctl.d/51-locald.conf && "
            "sudo sysctl --system");
  if (sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1")
    return Error(Errc::denied, "AppArmor stops " + shim + " from using its user namespace (" +
                                   step + ": " + std::strerror(err) +
                                   "; kernel.apparmor_restrict_unprivileged_userns=1)")
        .with_hint(
            "give that program an AppArmor profile with `userns,` (flags=(unconfined)), or sudo "
            "sysctl -w "
            "kernel.apparmor_restrict_unprivileged_userns=0");
  return Error::from_errno(err, "make a user namespace (" + step + ")");
}

/// A namespace that is held open by its descriptor alone.
Result<UniqueFd> make_namespace(const std::string& shim, const IdMap& map) {
  auto [ours, theirs] = TRY(sys::socketpair(SOCK_STREAM));
  SpawnOptions options;
  options.argv = {shim, shim::kModeHolder};
  options.fds = {{theirs.get(), shim::kHolderSocket}};
  Child holder = TRY(spawn(options));
  theirs.reset();
  pollfd readable{ours.get(), POLLIN, 0};
  if (::poll(&readable, 1, 10'000) <= 0) return Error(Errc::timed_out, shim + " holder: no answer");
  std::array<char, 64> answer{};
  const std::size_t n = TRY(sys::read_some(ours.get(), answer.data(), answer.size()));
  if (n == 0) return Error(Errc::failed, shim + " holder ended without an answer");
  if (answer[0] != 'U') {
    std::int32_t err = 0;
    if (n >= 5) std::memcpy(&err, answer.data() + 1, sizeof err);
    return explain(err, n > 5 ? std::string(answer.data() + 5, n - 5) : "unshare", shim);
  }
  const std::string proc = "/proc/" + std::to_string(holder.pid());
  if (map.kind == IdMapKind::subuid) {
    TRY(run_helper(TRY(find_helper("newuidmap")), holder.pid(), ::getuid(), map.uids));
    TRY(run_helper(TRY(find_helper("newgidmap")), holder.pid(), ::getgid(), map.gids));
  } else {
    TRY(write_proc(proc + "/setgroups", "deny"));
    TRY(write_proc(proc + "/uid_map", "0 " + std::to_string(::getuid()) + " 1"));
    TRY(write_proc(proc + "/gid_map", "0 " + std::to_string(::getgid()) + " 1"));
  }
  return sys::open(proc + "/ns/user",
                   O_RDONLY);  // the holder goes with `holder`, the namespace stays
}

}  // namespace

UserNamespace::UserNamespace(std::string shim) : shim_(std::move(shim)) {}

Result<int> UserNamespace::fd() {
  const std::lock_guard lock(mutex_);
  if (!made_) TRY(make());
  return fd_ ? fd_.get() : -1;
}

Result<void> UserNamespace::make() {
  if (::geteuid() == 0) {
    kind_ = IdMapKind::root;
    map_id_ = "root";
    made_ = true;
    return {};
  }
  auto full = full_map();
  Result<UniqueFd> fd = full ? make_namespace(shim_, *full) : Result<UniqueFd>(full.error());
  IdMap map = full ? *full : IdMap{};
  std::string notice;
  if (!fd && !says_something(fd.error())) return std::move(fd).error();  // another time it may go
  if (!fd) {
    // Without the full map one id still goes far: a container whose all users are one.
    notice =
        fd.error().message() +
        ". Containers run with a single user id until then: one that starts as root and changes "
        "to another user fails; with user = \"NAME\" (-u NAME) it is that user from the start.";
    if (!fd.error().hint().empty()) notice += " Fix: " + fd.error().hint();
    map = IdMap{};
    Error first = fd.error();
    fd = make_namespace(shim_, map);
    if (!fd) return fd.error().sys_errno() != 0 ? std::move(fd).error() : std::move(first);
  }
  fd_ = std::move(*fd);
  kind_ = map.kind;
  map_id_ = map.id();
  notice_ = std::move(notice);
  made_ = true;
  return {};
}

IdMapKind UserNamespace::kind() const {
  const std::lock_guard lock(mutex_);
  return kind_;
}

std::string UserNamespace::map_id() const {
  const std::lock_guard lock(mutex_);
  return map_id_;
}

std::string UserNamespace::notice() const {
  const std::lock_guard lock(mutex_);
  return notice_;
}

bool UserNamespace::owns(int namespace_fd) {
  const auto own = fd();
  if (!own) return false;
  const UniqueFd owner(::ioctl(namespace_fd, NS_GET_USERNS));
  struct stat theirs {
  }, ours{};
  return owner && ::fstat(owner.get(), &theirs) == 0 &&
         (*own < 0 ? ::stat("/proc/self/ns/user", &ours) : ::fstat(*own, &ours)) == 0 &&
         theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

Result<void> UserNamespace::adopt(int pid) {
  const std::lock_guard lock(mutex_);
  if (made_ || ::geteuid() == 0) return {};
  const std::string proc = "/proc/" + std::to_string(pid);
  UniqueFd ns = TRY(sys::open(proc + "/ns/user", O_RDONLY));
  uid_t owner = 0;
  if (::ioctl(ns.get(), NS_GET_OWNER_UID, &owner) != 0 || owner != ::getuid())
    return Error(Errc::denied, proc + "/ns/user belongs to another user");
  // Its parent must be ours, or it is not one we made but one within it (or ours itself).
  const UniqueFd parent(::ioctl(ns.get(), NS_GET_PARENT));
  struct stat a {
  }, b{};
  if (!parent || ::fstat(parent.get(), &a) != 0 || ::stat("/proc/self/ns/user", &b) != 0 ||
      a.st_ino != b.st_ino)
    return Error(Errc::denied, proc + "/ns/user is not a child of this user namespace");
  const IdMap map = full_map().value_or(IdMap{});
  auto lines = [](const std::string& text) {
    std::vector<std::vector<std::uint64_t>> all;
    for (const std::string& line : split(text, '\n')) {
      std::vector<std::uint64_t> numbers;
      for (const std::string& word : split(line, ' '))
        if (const auto value = parse_u64(word)) numbers.push_back(*value);
      if (!numbers.empty()) all.push_back(numbers);
    }
    return all;
  };
  auto wanted = [&](unsigned own, const SubidRange& range) {
    std::vector<std::vector<std::uint64_t>> all{{0, own, 1}};
    if (map.kind == IdMapKind::subuid) all.push_back({1, range.start, range.count});
    return all;
  };
  if (lines(TRY(read_file(proc + "/uid_map"))) != wanted(::getuid(), map.uids) ||
      lines(TRY(read_file(proc + "/gid_map"))) != wanted(::getgid(), map.gids))
    return Error(Errc::denied, proc + " has another id map than this user is given now");
  fd_ = std::move(ns);
  kind_ = map.kind;
  map_id_ = map.id();
  made_ = true;
  return {};
}

}  // namespace locald::runtime
