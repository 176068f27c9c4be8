#include "server/launch/inside_prober.h"

#include <fmt/format.h>

#include <utility>

#include "net/endpoint.h"

namespace locald::server {
namespace {

using Place = std::function<Result<InsidePlace>(const std::string& host)>;

class InsideProber final : public Prober {
 public:
  InsideProber(EventLoop& loop, std::string name, project::HealthConfig health, Place place)
      : loop_(loop), name_(std::move(name)), health_(std::move(health)), place_(std::move(place)) {}
  ~InsideProber() override { cancel(); }

  void start(project::Milliseconds timeout, Done done) override {
    done_ = std::move(done);
    timeout_ = timeout;
    ask(health_.host, health_.kind == project::HealthSpec::Kind::http ? health_.path : "",
        [this](const net::Verdict& verdict) { heard(verdict); });
  }

  void cancel() override {
    done_ = nullptr;
    probe_.reset();
    timer_.reset();
  }

 private:
  void ask(const std::string& host, const std::string& path,
           std::function<void(const net::Verdict&)> heard) {
    auto place = place_(host);
    if (!place) {
      timer_ =
          loop_.after(project::Milliseconds(0), [heard = std::move(heard), error = place.error()] {
            heard(net::Verdict::unknown(error));
          });
      return;
    }
    // What says the end may drop this object, or start the next probe: this one is let go first.
    auto ended = [this, heard = std::move(heard)](const net::Verdict& verdict) {
      const auto probe = std::move(probe_);
      heard(verdict);
    };
    const auto port = static_cast<std::uint16_t>(health_.port);
    const std::string name = host.empty() ? name_ : host;
    probe_ = path.empty() ? net::probe_tcp(loop_, place->address, port, timeout_, std::move(ended),
                                           place->socket)
                          : net::probe_http(loop_, {place->address, name}, port, path, timeout_,
                                            std::move(ended), place->socket);
  }

  void heard(const net::Verdict& verdict) {
    if (!health_.host.empty() || !verdict.refused) return say(verdict);
    // The commonest mistake of those who come from the host's network.
    ask("localhost", "", [this, verdict](const net::Verdict& loopback) {
      if (!loopback) return say(verdict);
      say(Error(Errc::failed,
                fmt::format("{} listens on port {} of {} alone, inside its container: nothing else "
                            "reaches it; let it listen on 0.0.0.0, or write network = \"host\"",
                            name_, health_.port, net::kLoopback)));
    });
  }

  void say(const net::Verdict& verdict) {
    // `done` may destroy this object.
    if (const Done done = std::exchange(done_, nullptr)) done(verdict);
  }

  EventLoop& loop_;
  std::string name_;
  project::HealthConfig health_;
  Place place_;
  Done done_;
  project::Milliseconds timeout_{0};
  std::unique_ptr<net::Probe> probe_;
  EventLoop::Handle timer_;
};

}  // namespace

std::unique_ptr<Prober> make_inside_prober(EventLoop& loop, const project::ServiceConfig& config,
                                           Place place) {
  return std::make_unique<InsideProber>(loop, project::slug(config.name), config.health,
                                        std::move(place));
}

}  // namespace locald::server
