#include "netd/control.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

namespace locald::netd {
namespace {

constexpr std::size_t kMaxPeers = 16;
constexpr std::size_t kMaxMore = 16384;
constexpr std::size_t kMaxText = std::size_t{16} << 20;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto space = text.find(' ');
    out.emplace_back(text.substr(0, space));
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  return out;
}

}  // namespace

Control::Control(Poller& poller, UniqueFd listener, Handler handler)
    : poller_(poller),
      handler_(std::move(handler)),
      acceptor_(poller, std::move(listener),
                [this](UniqueFd connection) { accept(std::move(connection)); }) {}

void Control::accept(UniqueFd connection) {
  if (peers_.size() >= kMaxPeers) return;
  const auto peer = std::make_shared<Peer>();
  peer->fd = std::move(connection);
  peer->watch = poller_.watch(peer->fd.get(), EPOLLIN,
                              [this, weak = std::weak_ptr<Peer>(peer)](std::uint32_t) {
                                if (const auto asker = weak.lock()) receive(asker);
                              });
  peers_.push_back(peer);
}

void Control::receive(const std::shared_ptr<Peer>& peer) {
  net::Packet packet;
  if (!packet.receive(peer->fd.get())) return;
  if (packet.ended()) {
    peer->watch.reset();
    peers_.remove(peer);
    return;
  }
  std::vector<std::string> words = words_of(packet.rest());
  if (words.size() < 2) return;
  Request request{std::move(words[0]), {}, std::move(packet.fds())};
  const std::string number = std::move(words[1]);
  request.words.assign(std::make_move_iterator(words.begin() + 2),
                       std::make_move_iterator(words.end()));
  const Reply reply = [weak = std::weak_ptr<Peer>(peer), number](Result<Answer> answer) {
    const auto asker = weak.lock();
    if (!asker) return;
    std::string text = (answer ? "ok " : "error ") + number;
    const std::string& more = answer ? answer->words : answer.error().message();
    if (!more.empty()) text += " " + more;
    std::vector<int> fds;
    if (answer) {
      fds = answer->lent;
      for (const UniqueFd& each : answer->fds) fds.push_back(each.get());
    }
    (void)net::send_packet(asker->fd.get(), text, fds);
  };
  if (request.verb == "more") {
    if (peer->more.size() > kMaxMore) return reply(Error(Errc::invalid_input, "too many sockets"));
    std::move(request.fds.begin(), request.fds.end(), std::back_inserter(peer->more));
    return reply(Answer{});
  }
  std::move(peer->more.begin(), peer->more.end(), std::back_inserter(request.fds));
  peer->more.clear();
  handler_(std::move(request), reply);
}

Result<std::string> text_of(const UniqueFd& file) {
  std::string out;
  while (true) {
    const std::size_t at = out.size();
    const std::size_t more = std::max<std::size_t>(at, 4096);
    out.resize(at + more);
    const ssize_t n = ::pread(file.get(), out.data() + at, more, static_cast<off_t>(at));
    if (n < 0) return Error::from_errno(errno, "read the plan");
    out.resize(at + static_cast<std::size_t>(n));
    if (n == 0) return out;
    if (out.size() > kMaxText) return Error(Errc::invalid_input, "the plan is too large");
  }
}

}  // namespace locald::netd
