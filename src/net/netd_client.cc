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
    return Answer{std::string(text),
                  packet.fds().empty() ? UniqueFd() : std::move(packet.fds().front())};
  }
}

Result<int> NetdClient::version() {
  const Answer answer = TRY(ask("version", {}, {}));
  const auto number = parse_u64(answer.words);
  if (!number || *number > 1000) return Error(Errc::failed, "locald-netd has no version");
  return static_cast<int>(*number);
}

Result<void> NetdClient::plan(const std::string& text, const std::vector<UniqueFd>& handed) {
  const UniqueFd file = TRY(sys::memfd("plan", text));
  std::vector<int> fds{file.get()};
  for (const UniqueFd& each : handed) fds.push_back(each.get());
  TRY(ask("plan", {}, fds));
  return {};
}

Result<UniqueFd> NetdClient::dial(const AddressAndPort& to) {
  auto answer = ask("dial", to.address.text() + " " + std::to_string(to.port), {});
  if (answer) return std::move(answer->fd);
  const auto number = parse_u64(answer.error().message());
  if (!number) return std::move(answer).error();
  return Error::from_errno(static_cast<int>(*number),
                           "connect to " + to.address.text() + " port " + std::to_string(to.port));
}

}  // namespace locald::net
