// Shims that somebody else started: how they are found, asked who they are, connected to.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>

#include "base/json/json.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "runtime/processes.h"
#include "runtime/shim_launch.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kHello{1000};
constexpr std::string_view kMarker = "LOCALD_INSTANCE=";

/// What it says of itself; empty where it says nothing (an older one, or one that is stopped).
std::string identity_from(int socket) {
  struct {
    FrameHeader header;
    FrameHello hello;
  } hello{};
  hello.header = {sizeof hello.hello, static_cast<std::uint8_t>(Frame::hello), {}};
  hello.hello.version = kAttachVersion;
  hello.hello.role = AttachRole::identify;
  if (::send(socket, &hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello) return {};
  std::string said;
  const auto deadline = Clock::now() + kHello;
  while (said.size() < kFrameMax) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd readable{socket, POLLIN, 0};
    if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) <= 0) return {};
    char chunk[4096];
    const auto n = sys::read_some(socket, chunk, sizeof chunk);
    if (!n || *n == 0) break;
    said.append(chunk, *n);
  }
  FrameHeader header{};
  if (said.size() < sizeof header) return {};
  std::memcpy(&header, said.data(), sizeof header);
  if (header.type != static_cast<std::uint8_t>(Frame::identity)) return {};
  return said.substr(sizeof header, header.length);
}

/// LOCALD_INSTANCE of one of the processes below.
std::string nonce_below(pid_t pid, int depth = 0) {
  std::string nonce;
  each_child(pid, [&](pid_t child) {
    if (!nonce.empty()) return;
    if (const auto text = read_file("/proc/" + std::to_string(child) + "/environ", 4u << 20))
      for (const std::string& pair : split(*text, '\0'))
        if (pair.starts_with(kMarker)) nonce = pair.substr(kMarker.size());
    if (nonce.empty() && depth < 8) nonce = nonce_below(child, depth + 1);
  });
  return nonce;
}

/// A shim is started as `locald-shim run NAME`; NAME is "project/service", "project/service exec",
/// "container/name" or "build/app phase".
void take_name(InstanceRecord& record, std::string name) {
  record.name = name;
  const auto slash = name.find('/');
  const std::string project = name.substr(0, slash);
  std::string service = slash == std::string::npos ? "" : name.substr(slash + 1);
  Json meta = Json::object();
  if (project == "container") {
    meta = Json::object({{"container", true}, {"rm", false}});
    if (service != record.id) meta.set("name", service);
  } else if (service.ends_with(" exec")) {
    service.resize(service.size() - 5);
    meta = Json::object({{"exec", true}, {"project", project}, {"service", service}});
  } else if (const auto blank = service.find(' '); blank != std::string::npos) {
    meta = Json::object({{"build", service.substr(0, blank)}});
  } else {
    meta = Json::object({{"project", project}, {"service", service}});
  }
  record.meta = meta.dump();
}

}  // namespace

Result<InstanceRecord> ask_shim(const std::string& folder, const std::string& id) {
  const UniqueFd socket = TRY(connect_control(folder));
  // Who listens: the shim made the socket itself.
  const pid_t pid = TRY(sys::peer_cred(socket.get())).pid;
  const auto stat = process_stat(pid);
  if (!stat) return Error(Errc::not_found, "the shim of " + id + " has ended");
  if (const std::string text = identity_from(socket.get()); !text.empty()) {
    InstanceRecord record = TRY(InstanceRecord::parse(text, "what the shim of " + id + " says"));
    if (record.id == id && record.shim_pid == pid) {
      record.folder = folder;
      return record;
    }
  }
  InstanceRecord record;
  record.id = id;
  record.boot_id = boot_id();
  record.folder = folder;
  record.shim_pid = pid;
  record.shim_start = stat->start_time;
  const auto words = split(TRY(read_file("/proc/" + std::to_string(pid) + "/cmdline")), '\0');
  if (words.size() > 2) take_name(record, words[2]);
  record.nonce = nonce_below(pid);
  struct stat ours {
  }, theirs{};
  const std::string own = "/proc/self/ns/pid", other = "/proc/" + std::to_string(pid) + "/ns/pid";
  const bool inside = ::stat(own.c_str(), &ours) == 0 && ::stat(other.c_str(), &theirs) == 0 &&
                      ours.st_ino != theirs.st_ino;
  const bool exec = (*Json::parse(record.meta.empty() ? "{}" : record.meta))["exec"].as_bool();
  record.kind = exec && inside ? "exec" : inside ? "container" : "host";
  return record;
}

Result<std::unique_ptr<ShimHandle>> connect_shim(InstanceRecord record) {
  const std::string name = record.name;
  auto handle = TRY(ShimHandle::find(std::move(record)));
  handle->await(Clock::now() + kHello);
  if (handle->has_ended()) return Error(Errc::not_found, name + " has ended");
  if (const auto& problem = handle->problem())
    return Error(Errc::unavailable, name + ": " + problem->message()).with_hint(problem->hint());
  return handle;
}

}  // namespace locald::runtime
