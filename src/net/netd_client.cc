#include "net/netd_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/strings.h"
#include "base/sys/sys.h"
#include "net/packet.h"

namespace locald::net {
namespace {

constexpr int kLimitMs = 10'000;

Error silent() { return Error(Errc::unavailable, "locald-netd does not answer"); }

}  // namespace

Result<NetdClient> NetdClient::connect(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "make a socket");
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof at.sun_path)
    return Error(Errc::invalid_input, "the path of a socket is too long: " + path);
  path.copy(at.sun_path, path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    return Error(Errc::unavailable,
                 "connect to locald-netd at " + path + ": " + std::strerror(errno));
  return NetdClient(std::move(fd));
}

Result<NetdClient::Answer> NetdClient::ask(const std::string& verb, const std::string& words,
                                           std::span<const int> fds) {
  const std::string number = std::to_string(next_++);
  std::string request = verb + " " + number;
  if (!words.empty()) request += " " + words;
  if (!send_packet(socket_.get(), request, fds, true)) return silent();
  pollfd wait{socket_.get(), POLLIN, 0};
  while (true) {
    const int ready = ::poll(&wait, 1, kLimitMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return silent();
    Packet packet;
    if (!packet.receive(socket_.get())) continue;
    if (packet.ended()) return silent();
    std::string_view text = packet.rest();
    const auto take = [&text] {
      const std::string_view word = text.substr(0, text.find(' '));
      text.remove_prefix(std::min(word.size() + 1, text.size()));
      return word;
    };
    const std::string_view outcome = take();
    if (take() != number) continue;  // to a request before, which was given up
    if (outcome != "ok") return Error(Errc::failed, std::string(text));
    return Answer{std::string(text), std::move(packet.fds())};
  }
}

Result<UniqueFd> NetdClient::ask_for_one(const std::string& verb, const std::string& words) {
  Answer answer = TRY(ask(verb, words, {}));
  if (answer.fds.size() != 1)
    return Error(Errc::failed, "locald-netd answered without a descriptor");
  return std::move(answer.fds.front());
}

Result<int> NetdClient::version() {
  const Answer answer = TRY(ask("version", {}, {}));
  const auto number = parse_u64(answer.words);
  if (!number || *number > 1000) return Error(Errc::failed, "locald-netd has no version");
  return static_cast<int>(*number);
}

Result<void> NetdClient::plan(const std::string& text, const std::vector<UniqueFd>& handed) {
  const UniqueFd file = TRY(sys::memfd("plan", text));
  std::vector<int> fds;
  for (const UniqueFd& each : handed) {
    fds.push_back(each.get());
    if (fds.size() < kMaxPacketFds) continue;
    TRY(ask("more", {}, fds));
    fds.clear();
  }
  if (!fds.empty()) TRY(ask("more", {}, fds));
  const int plan_file = file.get();
  TRY(ask("plan", {}, {&plan_file, 1}));
  return {};
}

Result<UniqueFd> NetdClient::dial(const AddressAndPort& to) {
  auto socket = ask_for_one("dial", to.address.text() + " " + std::to_string(to.port));
  if (socket) return socket;
  const auto number = parse_u64(socket.error().message());
  if (!number) return socket;
  return Error::from_errno(static_cast<int>(*number),
                           "connect to " + to.address.text() + " port " + std::to_string(to.port));
}

Result<UniqueFd> NetdClient::sandbox() { return ask_for_one("sandbox", {}); }

Result<UniqueFd> NetdClient::service_namespace(const std::string& service) {
  return ask_for_one("namespace", service);
}

Result<NetdSockets> NetdClient::hand_over() {
  NetdSockets out;
  std::uint64_t at = 0;
  do {  // as many at once as go into a packet
    Answer answer = TRY(ask("hand-over", std::to_string(at), {}));
    const std::string_view text = answer.words;
    const auto line = text.find('\n');
    const auto next = parse_u64(text.substr(0, line));
    if (line == std::string_view::npos || !next || (*next != 0 && *next <= at))
      return Error(Errc::failed, "locald-netd does not say what it hands over");
    TRY(out.add(TRY(NetdPlan::parse(text.substr(line + 1))), std::move(answer.fds)));
    at = *next;
  } while (at != 0);
  return out;
}

Result<void> NetdClient::retire() {
  TRY(ask("retire", {}, {}));
  return {};
}

Result<void> NetdClient::end() {
  auto answer = ask("end", {}, {});
  if (!answer && answer.error().code() != Errc::unavailable) return std::move(answer).error();
  return {};
}

}  // namespace locald::net
