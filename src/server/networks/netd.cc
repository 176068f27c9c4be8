#include "server/networks/netd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "base/json/fields.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "net/netd_start.h"
#include "server/networks/recorded_process.h"

namespace locald::server {
namespace {

constexpr char kConnections[] = "netd.sock", kOutside[] = "outside.sock", kRecord[] = "netd.json";
constexpr int kStartMs = 10'000;

struct NetdRecord {
  int version = net::kNetdVersion;
  RecordedProcess process;
  /// Those that may still carry connections after another has taken their place.
  std::vector<RecordedProcess> retiring;

  static const Fields& fields() {
    using R = NetdRecord;
    static const Fields table = FieldsOf<R>("netd.json")
                                    .always("version", &R::version, "")
                                    .flat(&R::process)
                                    .field("retiring", &R::retiring, "");
    return table;
  }
};

/// In the folder `dir`, whose path may be longer than a socket's may be.
std::string path_in(int dir, const char* name) {
  return "/proc/self/fd/" + std::to_string(dir) + "/" + name;
}

Result<UniqueFd> listen_in(int dir, const char* name) {
  (void)::unlinkat(dir, name, 0);
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, "make a socket");
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path_in(dir, name).copy(at.sun_path, sizeof at.sun_path - 1);
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(fd.get(), 16) != 0)
    return Error::from_errno(errno, std::string("make the socket ") + name);
  return fd;
}

/// What it says: a line, that it is ready, or, until it closes, why not.
Result<std::string> hear(int pipe) {
  std::string said;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kStartMs);
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd wait{pipe, POLLIN, 0};
    const int ready = left.count() > 0 ? ::poll(&wait, 1, static_cast<int>(left.count())) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0)
      return Error(Errc::timed_out, "locald-netd is not ready after 10 s")
          .with_hint("look at how busy this machine is, and try again");
    std::array<char, 1024> bytes;
    const std::size_t n = TRY(sys::read_some(pipe, bytes.data(), bytes.size()));
    if (n == 0) return said;
    said.append(bytes.data(), n);
    if (said.ends_with('\n')) return said.substr(0, said.size() - 1);
  }
}

Result<NetdRecord> read_record(const std::string& file) {
  const Json document = TRY(Json::parse(TRY(read_file(file, 1u << 16))));
  return decode<NetdRecord>(document, Reading::tolerant).context(file);
}

/// The process of a record, and those whose place it has taken.
void end_recorded(const std::string& file, const std::string& folder) {
  const auto record = read_record(file);
  if (!record) {
    if (exists(file)) end_marked("locald-netd", folder);  // it is damaged
    return;
  }
  if (const auto process = record->process.open()) end_process(process->get());
  for (const RecordedProcess& one : record->retiring)
    if (const auto process = one.open()) end_process(process->get());
}

/// The control of a netd whose place another one has taken.
std::string control_before(int pid) { return std::to_string(pid) + "-" + kConnections; }

}  // namespace

Result<Netd> Netd::start(const Start& start) {
  auto started = launch(start);
  if (!started && start.before == nullptr) end_all(start.paths, start.project);
  return started;
}

Result<Netd> Netd::launch(const Start& start) {
  const std::string folder = start.paths.network(start.project);
  TRY(make_dirs(folder, 0700));
  const UniqueFd dir = TRY(sys::open(folder, O_RDONLY | O_DIRECTORY));
  std::vector<RecordedProcess> retiring;
  if (start.before != nullptr) {
    if (auto record = read_record(folder + "/" + kRecord)) retiring = std::move(record->retiring);
    std::erase_if(retiring, [](const RecordedProcess& one) { return !one.open(); });
    if (auto before = RecordedProcess::of(start.before->pid()))
      retiring.push_back(std::move(*before));
    const std::string control = control_before(start.before->pid());
    if (::faccessat(dir.get(), control.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0)
      (void)::renameat(dir.get(), kConnections, dir.get(), control.c_str());
  }
  const UniqueFd connections = TRY(listen_in(dir.get(), kConnections));
  const UniqueFd outside = TRY(listen_in(dir.get(), kOutside));
  auto [ours, theirs] = TRY(sys::pipe());
  SpawnOptions spawning;
  const bool rootless = start.user_namespace >= 0;
  spawning.argv = {start.program, rootless ? net::kNetdRun : net::kNetdRunRoot, start.project};
  spawning.fds = {{connections.get(), net::kNetdControl},
                  {outside.get(), net::kNetdOutsideControl},
                  {start.sandbox, net::kNetdSandbox},
                  {theirs.get(), net::kNetdStatus}};
  if (rootless) spawning.fds.emplace_back(start.user_namespace, net::kNetdUserNamespace);
  spawning.env = {network_marker(folder)};
  spawning.stderr_fd = STDERR_FILENO;
  // It forks and ends: the one that stays is nobody's child, so that the server's end is not its.
  Child first = TRY(spawn(spawning).context("start locald-netd").hint("reinstall locald"));
  theirs.reset();
  const std::string said = TRY(hear(ours.get()));
  (void)first.wait(std::chrono::steady_clock::now() + std::chrono::milliseconds(kStartMs));
  const std::string ready = std::string(net::kNetdReady) + " ";
  const auto pid = said.starts_with(ready) ? parse_u64(said.substr(ready.size())) : std::nullopt;
  if (!pid)
    return Error(Errc::failed, "locald-netd: " + (said.empty() ? "it has ended" : said))
        .with_hint("find out what it lacks: locald doctor; or write network = \"host\"");
  const UniqueFd pidfd = TRY(sys::pidfd_open(static_cast<pid_t>(*pid)));
  auto found = [&]() -> Result<Netd> {
    const NetdRecord record{
        .process = TRY(RecordedProcess::of(static_cast<pid_t>(*pid)).context("locald-netd")),
        .retiring = std::move(retiring)};
    TRY(make_dirs(start.paths.network_records(), 0700));
    for (const std::string& file :
         {start.paths.network_record(start.project), folder + "/" + kRecord})
      TRY(write_file_atomic(file, encode(record).dump(), 0600));
    return open(start.paths, start.project, /*continuing=*/false);
  }();
  if (!found) (void)sys::pidfd_signal(pidfd.get(), SIGKILL);
  if (found) found->status_ = std::move(ours);
  return found;
}

Result<Netd> Netd::find(const Paths& paths, const std::string& project) {
  return open(paths, project, /*continuing=*/true);
}

Result<Netd> Netd::open(const Paths& paths, const std::string& project, bool continuing) {
  const std::string folder = paths.network(project);
  auto dir = sys::open(folder, O_RDONLY | O_DIRECTORY);
  if (!dir) return std::move(dir).error();
  const NetdRecord record = TRY(read_record(folder + "/" + kRecord));
  UniqueFd pidfd = TRY(record.process.open());
  auto connections = TRY(net::NetdClient::connect(path_in(dir->get(), kConnections)));
  auto outside = TRY(net::NetdClient::connect(path_in(dir->get(), kOutside)));
  for (const RecordedProcess& one : record.retiring)
    if (const std::string control = control_before(one.pid); continuing && one.open())
      if (auto before = net::NetdClient::connect(path_in(dir->get(), control.c_str())))
        (void)before->retire();
  return Netd(paths, project, record.process.pid, std::move(pidfd), std::move(connections),
              std::move(outside));
}

void Netd::end_all(const Paths& paths, const std::string& project) {
  for (const std::string& file :
       {paths.network(project) + "/" + kRecord, paths.network_record(project)})
    end_recorded(file, paths.network(project));
  (void)remove_tree(paths.network(project));
  (void)remove_tree(paths.network_record(project));
}

std::set<std::string> Netd::projects(const Paths& paths) {
  std::set<std::string> out;
  for (std::string& name : names_in(paths.networks())) out.insert(std::move(name));
  constexpr std::string_view kEnding = ".json";
  for (const std::string& name : names_in(paths.network_records()))
    if (name.ends_with(kEnding)) out.insert(name.substr(0, name.size() - kEnding.size()));
  return out;
}

void Netd::retire() {
  if (!connections_.retire()) end_process(pidfd_.get());
}

void Netd::end() {
  end_process(pidfd_.get());
  end_recorded(record_, folder_);
  (void)remove_tree(folder_);
  (void)remove_tree(record_);
}

}  // namespace locald::server
