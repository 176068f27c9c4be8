#include "server/networks/pasta.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "base/json/fields.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "runtime/processes.h"

namespace locald::server {
namespace {

constexpr std::chrono::seconds kStartLimit{10};
constexpr int kPastaEndMs = 1000;
constexpr int kPastaUserNamespace = 3, kPastaSandbox = 4;  // in pasta
constexpr std::string_view kPastaEnding = ".pasta";
constexpr const char* kTun = "/dev/net/tun";

struct PastaRecord {
  int pid = 0;
  std::uint64_t start_time = 0;
  std::string boot_id;

  static const Fields& fields() {
    using R = PastaRecord;
    static const Fields table = FieldsOf<R>("pasta")
                                    .required("pid", &R::pid, "")
                                    .required("start_time", &R::start_time, "clock ticks")
                                    .required("boot_id", &R::boot_id, "");
    return table;
  }
};

std::string record_of(const Paths& paths, const std::string& project) {
  return paths.network_records() + "/" + project + std::string(kPastaEnding);
}

std::string fd_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

/// The last line of what it said: it tells of its set-up before it fails.
std::string last_line(const std::string& text) {
  const std::vector<std::string> lines = split(trim(text), '\n');
  return to_utf8(shortened(lines.back(), 500));
}

void end_pasta(int pidfd) {
  (void)sys::pidfd_signal(pidfd, SIGKILL);
  pollfd wait{pidfd, POLLIN, 0};
  (void)::poll(&wait, 1, kPastaEndMs);
}

}  // namespace

Result<std::string> find_pasta(const std::string& search_path) {
  const auto program = find_program("pasta", search_path);
  if (!program)
    return Error(Errc::not_found, "the program pasta is not in " + search_path)
        .with_hint(
            "sudo apt-get install passt; or leave `outbound` out: TCP and DNS need no pasta");
  if (const auto tun = sys::open(kTun, O_RDWR); !tun)
    return Error(Errc::denied, "pasta needs " + std::string(kTun) + ": " + tun.error().message())
        .with_hint(
            "sudo chmod 0666 /dev/net/tun (it is that on most systems); or leave `outbound` "
            "out: TCP and DNS need neither");
  return *program;
}

Result<Pasta> Pasta::start(const Start& start) {
  const std::string record = record_of(start.paths, start.project);
  (void)TRY(make_dirs(start.paths.network_records()));
  const std::string pid_file = record + ".pid";
  SpawnOptions spawning;
  // No port of either side leads to the other, and the gateway's address not to the host's loopback.
  spawning.argv = {start.program, "--config-net",
                   "-t",          "none",
                   "-u",          "none",
                   "-T",          "none",
                   "-U",          "none",
                   "-I",          kUplink,
                   "--no-map-gw", "--no-dhcp",
                   "--no-dhcpv6", "--no-ndp",
                   "--no-ra",     "--no-netns-quit",
                   "-P",          pid_file,
                   "--netns",     fd_path(kPastaSandbox)};
  spawning.fds = {{start.sandbox, kPastaSandbox}};
  if (start.user_namespace >= 0) {
    spawning.fds.emplace_back(start.user_namespace, kPastaUserNamespace);
    spawning.argv.insert(spawning.argv.end(), {"--userns", fd_path(kPastaUserNamespace)});
  } else {
    // Another user may not join the sandbox.
    spawning.argv.insert(spawning.argv.end(), {"--netns-only", "--runas", "0:0"});
  }
  spawning.env = {"LOCALD_NETWORK=" + start.paths.network(start.project)};  // as netd
  // It ends once another process of it carries on in the background.
  const auto said = run_program(std::move(spawning), kStartLimit);
  const auto pid = parse_u64(trim(read_file(pid_file, 64).value_or("")));
  (void)::unlink(pid_file.c_str());
  if (!said) return Error(said.error()).with_context("start pasta");
  if (!said->exit.ok() || !pid)
    return Error(Errc::failed, "pasta: " + last_line(said->err))
        .with_hint("what it lacks it also says when it is run by hand; or leave `outbound` out");
  UniqueFd pidfd = TRY(sys::pidfd_open(static_cast<pid_t>(*pid)));
  auto recorded = [&]() -> Result<void> {
    const auto stat = runtime::process_stat(static_cast<pid_t>(*pid));
    if (!stat) return Error(Errc::failed, "pasta has ended");
    return write_file_atomic(
        record,
        encode(PastaRecord{static_cast<int>(*pid), stat->start_time, runtime::boot_id()}).dump());
  }();
  if (!recorded) {
    end_pasta(pidfd.get());
    return std::move(recorded).error();
  }
  return Pasta(record, static_cast<int>(*pid), std::move(pidfd));
}

Result<Pasta> Pasta::find(const Paths& paths, const std::string& project) {
  const std::string file = record_of(paths, project);
  const Json document = TRY(Json::parse(TRY(read_file(file, 1u << 16))));
  const auto record = TRY(decode<PastaRecord>(document, Reading::tolerant).context(file));
  if (record.boot_id != runtime::boot_id())
    return Error(Errc::not_found, "its pasta ended with the machine");
  return Pasta(file, record.pid, TRY(runtime::open_process(record.pid, record.start_time)));
}

void Pasta::end_left(const Paths& paths, const std::string& project) {
  if (auto left = find(paths, project)) left->end();
  (void)::unlink(record_of(paths, project).c_str());
}

std::set<std::string> Pasta::projects(const Paths& paths) {
  std::set<std::string> out;
  for (const std::string& name : names_in(paths.network_records()))
    if (name.ends_with(kPastaEnding)) out.insert(name.substr(0, name.size() - kPastaEnding.size()));
  return out;
}

void Pasta::end() {
  end_pasta(pidfd_.get());
  (void)::unlink(record_.c_str());
}

}  // namespace locald::server
