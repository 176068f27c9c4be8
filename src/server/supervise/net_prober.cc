#include "server/supervise/net_prober.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <utility>

#include "base/transient.h"
#include "net/probe.h"

namespace locald::server {
namespace {

/// After a look has found a stranger: the same sockets are looked at again at the earliest then. A
/// socket changes hands rarely, and a look may need a process.
constexpr project::Milliseconds kLookAgain{500};

class NetProber final : public Prober {
 public:
  NetProber(EventLoop& loop, const net::Network& network, std::string host, std::uint16_t port,
            std::string path, FindEndpoint find, FoundEndpoint found)
      : loop_(loop),
        network_(network),
        host_(std::move(host)),
        port_(port),
        path_(std::move(path)),
        find_(std::move(find)),
        found_(std::move(found)) {}
  ~NetProber() override { cancel(); }

  void start(project::Milliseconds timeout, Done done) override {
    done_ = std::move(done);
    timeout_ = timeout;
    if (host_ != "localhost" || !find_) return ask(host_);
    if (const auto now = network_.quick_listeners(port_)) {
      if (now->empty())
        return say_later(Error(Errc::failed, fmt::format("nothing listens on port {} yet", port_)));
      std::set<ino_t> sockets;
      for (const net::Listener& l : *now) sockets.insert(l.inode);
      if (sockets == sockets_ && endpoint_) return ask(endpoint_->host);
      if (sockets == sockets_ && EventLoop::Clock::now() < look_again_) return say_later(*refusal_);
    } else if (may_pass(now.error())) {
      return say_later(net::Verdict::unknown(now.error()));
    }
    alive_ = std::make_shared<bool>(true);
    job_ = find_(port_, [this, weak = std::weak_ptr<bool>(alive_)](Result<net::EndpointLook> look) {
      if (!weak.expired()) looked(std::move(look));
    });
  }

  void cancel() override {
    done_ = nullptr;
    alive_.reset();
    job_.cancel();
    probe_.reset();
    timer_.reset();
  }

 private:
  void looked(Result<net::EndpointLook> look) {
    if (!look) return say(net::Verdict::unknown(look.error()));
    const std::set<ino_t> own = look->own();
    sockets_ = std::move(look->sockets);
    endpoint_ = std::move(look->endpoint);
    if (endpoint_) {
      if (found_) found_(*endpoint_, own);
      return ask(endpoint_->host);
    }
    refusal_ = look->strangers.empty()
                   ? Error(Errc::failed, fmt::format("nothing listens on port {} yet", port_))
                   : Error(Errc::failed,
                           fmt::format("port {0} belongs to {1}, not to this service; stop that, "
                                       "give the service another port, or write \"{2}:{0}\" "
                                       "into `health` where that is meant to answer",
                                       port_, look->whose, net::kLoopback));
    look_again_ = EventLoop::Clock::now() + kLookAgain;
    say(*refusal_);
  }

  void ask(const std::string& host) {
    // What says the end may drop this object, or start the next probe: this one is let go first.
    auto ended = [this](const net::Verdict& verdict) {
      const auto probe = std::move(probe_);
      say(verdict);
    };
    probe_ = path_.empty()
                 ? net::probe_tcp(loop_, host, port_, timeout_, std::move(ended))
                 : net::probe_http(loop_, {host, host_}, port_, path_, timeout_, std::move(ended));
  }

  void say_later(net::Verdict verdict) {
    timer_ = loop_.after(project::Milliseconds(0),
                         [this, verdict = std::move(verdict)] { say(verdict); });
  }

  void say(const net::Verdict& verdict) {
    // `done` may destroy this object.
    if (const Done done = std::exchange(done_, nullptr)) done(verdict);
  }

  EventLoop& loop_;
  const net::Network& network_;
  std::string host_;
  std::uint16_t port_;
  std::string path_;
  FindEndpoint find_;
  FoundEndpoint found_;
  Done done_;
  project::Milliseconds timeout_{0};
  std::set<ino_t> sockets_;  // that the last look was about
  std::optional<net::Endpoint> endpoint_;
  std::optional<Error> refusal_;
  EventLoop::Clock::time_point look_again_{};
  std::shared_ptr<bool> alive_;  // while a look is under way
  JobPool::Job job_;
  std::unique_ptr<net::Probe> probe_;
  EventLoop::Handle timer_;
};

}  // namespace

std::unique_ptr<Prober> make_net_prober(EventLoop& loop, const net::Network& network,
                                        const std::string& host, std::uint16_t port,
                                        const std::string& path, FindEndpoint find,
                                        FoundEndpoint found) {
  return std::make_unique<NetProber>(loop, network, host, port, path, std::move(find),
                                     std::move(found));
}

}  // namespace locald::server
