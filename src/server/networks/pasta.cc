#include "server/networks/pasta.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/json/fields.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "server/networks/recorded_process.h"

namespace locald::server {
namespace {

constexpr std::chrono::seconds kStartLimit{10};
constexpr int kPastaUserNamespace = 3, kPastaSandbox = 4;  // in pasta
constexpr std::string_view kPastaEnding = ".pasta";
constexpr const char* kTun = "/dev/net/tun";

std::string record_of(const Paths& paths, const std::string& project) {
  return paths.network_records() + "/" + project + std::string(kPastaEnding);
}

std::string fd_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

/// The last line of what it said: it tells of its set-up before it fails.
std::string last_line(const std::string& text) {
  const std::vector<std::string> lines = split(trim(text), '\n');
  return to_utf8(shortened(lines.back(), 500));
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
                   "-I",          start.link,
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
  spawning.env = {network_marker(start.paths.network(start.project))};
  // It ends once another process of it carries on in the background.
  const auto said = run_program(std::move(spawning), kStartLimit);
  const auto pid = parse_u64(trim(read_file(pid_file, 64).value_or("")));
  (void)::unlink(pid_file.c_str());
  if (!said) return Error(said.error()).with_context("start pasta");
  if (!said->exit.ok() || !pid)
    return Error(Errc::failed, "pasta: " + last_line(said->err))
        .with_hint("see what it needs: man pasta; or leave `outbound` out");
  UniqueFd pidfd = TRY(sys::pidfd_open(static_cast<pid_t>(*pid)));
  auto recorded = [&]() -> Result<void> {
    const auto process = TRY(RecordedProcess::of(static_cast<pid_t>(*pid)).context("pasta"));
    return write_file_atomic(record, encode(process).dump(), 0600);
  }();
  if (!recorded) {
    end_process(pidfd.get());
    return std::move(recorded).error();
  }
  return Pasta(record, static_cast<int>(*pid), std::move(pidfd));
}

Result<Pasta> Pasta::find(const Paths& paths, const std::string& project) {
  const std::string file = record_of(paths, project);
  const Json document = TRY(Json::parse(TRY(read_file(file, 1u << 16))));
  const auto process = TRY(decode<RecordedProcess>(document, Reading::tolerant).context(file));
  return Pasta(file, process.pid, TRY(process.open()));
}

void Pasta::end_left(const Paths& paths, const std::string& project) {
  const std::string file = record_of(paths, project);
  if (auto left = find(paths, project))
    left->end();
  else if (left.error().code() != Errc::not_found)
    end_marked("pasta", paths.network(project));  // its record is damaged
  (void)::unlink(file.c_str());
}

std::set<std::string> Pasta::projects(const Paths& paths) {
  std::set<std::string> out;
  for (const std::string& name : names_in(paths.network_records()))
    if (name.ends_with(kPastaEnding)) out.insert(name.substr(0, name.size() - kPastaEnding.size()));
  return out;
}

void Pasta::end() {
  end_process(pidfd_.get());
  (void)::unlink(record_.c_str());
}

}  // namespace locald::server
