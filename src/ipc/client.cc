#include "ipc/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/sys/file_id.h"
#include "base/sys/sys.h"
#include "ipc/api.h"
#include "ipc/codec.h"
#include "ipc/living_server.h"
#include "ipc/server_start.h"
#include "ipc/version.h"

namespace locald::ipc {
namespace {

constexpr std::size_t kMaxReply = 64u << 20;  // bytes of one JSON document or line
constexpr std::chrono::seconds kHelloPatience{15};
constexpr int kServers = 3;  // that a request is sent to, one after another
constexpr const char* kCutShort =
    "the server may have ended: why is in its log, server.log in the state folder; see how things "
    "stand: locald status";

/// Waits until `fd` is readable. Errc::timed_out after `patience` (negative: never).
Result<void> wait_readable(int fd, std::chrono::milliseconds patience) {
  pollfd p{fd, POLLIN, 0};
  while (true) {
    const int n = ::poll(&p, 1, static_cast<int>(patience.count()));
    if (n > 0) return {};
    if (n == 0) return Error(Errc::timed_out, "the server does not answer");
    if (errno != EINTR) return Error::from_errno(errno, "poll");
  }
}

Result<void> send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "write to the server").with_hint(kCutShort);
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

std::string request_text(const std::string& name, const std::string& text) {
  std::string request =
      "POST /v1/" + name + " HTTP/1.1\r\nHost: locald\r\nContent-Type: application/json\r\n";
  request += std::string(kVersionHeader) + ": " + std::string(kVersion) + "\r\n";
  request += std::string(kBuildHeader) + ": " + std::string(kBuild) + "\r\n";
  request += "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  return request;
}

/// True where the peer executes the very file that we would start.
bool runs_our_program(const UniqueFd& socket) {
  const auto peer =
      socket ? sys::peer_cred(socket.get()) : Result<sys::PeerCred>(Error(Errc::failed, ""));
  const auto program = find_own_program("locald-server");
  if (!peer || !program) return false;
  const std::string theirs = "/proc/" + std::to_string(peer.value().pid) + "/exe";
  const auto own = FileId::of(AT_FDCWD, program.value().c_str());
  return own && own == FileId::of(AT_FDCWD, theirs.c_str());
}

}  // namespace

struct Call::State {
  UniqueFd fd;
  HttpReply reply{[this](std::string_view bytes) { body.append(bytes); }};
  std::string body;       // not yet taken: the rest of a line, or the whole document
  std::size_t taken = 0;  // bytes of `body` that were handed out
  bool ended = false;     // the connection is at its end, or the reply complete
  Json error;             // what the server answered with
  std::string request;
  std::function<Result<UniqueFd>()> reconnect;  // empty: this server or none
  int servers = 1;                              // that it was sent to

  /// A server that ends has not taken the request: it closed its connection before it was sent, or
  /// without having read it all. So the next server can have it, whatever it asks for.
  static bool not_taken(int error) { return error == EPIPE || error == ECONNRESET; }

  Result<void> send() {
    while (true) {
      auto sent = send_all(fd.get(), request);
      if (sent || !not_taken(sent.error().sys_errno()) || !reconnect || servers++ >= kServers)
        return sent;
      fd = TRY(reconnect());
    }
  }

  bool is_stream() const {
    return reply.header("content-type").starts_with("application/x-ndjson");
  }

  /// Reads the available bytes. @return false where that was nothing.
  Result<bool> read() {
    std::array<char, 65536> buffer;
    const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n < 0 && not_taken(errno) && !reply.started() && reconnect && servers++ < kServers) {
      fd = TRY(reconnect());
      TRY(send());
      return false;
    }
    if (n < 0 && errno != ECONNRESET)
      return Error::from_errno(errno, "read from the server").with_hint(kCutShort);
    if (n <= 0) {
      TRY(reply.end().hint(kCutShort));
      ended = true;
      return true;
    }
    TRY(reply.feed({buffer.data(), static_cast<std::size_t>(n)}).hint(kCutShort));
    ended = reply.complete();
    if (body.size() - taken > kMaxReply)
      return Error(Errc::corrupt, "the server's reply is too long");
    return true;
  }

  /// The next whole JSON text in `body`, or nothing.
  std::optional<std::string> take() {
    const auto newline = is_stream() ? body.find('\n', taken) : std::string::npos;
    if (newline == std::string::npos && !ended) return std::nullopt;
    const auto end = newline == std::string::npos ? body.size() : newline;
    std::string text = body.substr(taken, end - taken);
    taken = newline == std::string::npos ? end : end + 1;
    if (taken == body.size() || taken > (1u << 20)) {
      body.erase(0, taken);
      taken = 0;
    }
    return text;
  }
};

Call::Call(std::unique_ptr<State> state) : state_(std::move(state)) {}
Call::Call(Call&&) noexcept = default;
Call& Call::operator=(Call&&) noexcept = default;
Call::~Call() = default;

int Call::fd() const noexcept { return state_->fd.get(); }

Result<Call::Item> Call::poll() {
  while (true) {
    if (const auto text = state_->take(); text && !text->empty()) {
      auto parsed = Json::parse(*text, {.max_bytes = kMaxReply});
      if (!parsed || !parsed->is_object())
        return Error(Errc::corrupt, "the server's reply is not a JSON object (HTTP status " +
                                        std::to_string(state_->reply.status()) + ")")
            .with_hint(kCutShort);
      if (parsed->contains("error")) {
        state_->error = (*parsed)["error"];
        return error_from_json(state_->error);
      }
      if (parsed->contains("result")) return Item{Kind::result, parsed->take("result")};
      if (parsed->contains("event")) return Item{Kind::event, std::move(parsed).value()};
      return Error(Errc::corrupt, "the server's reply is neither result nor error");
    } else if (!text) {
      if (!TRY(state_->read())) return Item{};
    } else if (state_->ended) {
      return Error(Errc::corrupt, "the server ended its reply without a result")
          .with_hint(kCutShort);
    }
  }
}

const Json& Call::error_object() const noexcept { return state_->error; }

Result<Call::Item> Call::next() {
  while (true) {
    Item item = TRY(poll());
    if (item.kind != Kind::nothing) return item;
    TRY(wait_readable(fd(), std::chrono::milliseconds(-1)));
  }
}

Result<Json> Call::finish(const std::function<void(const Json&)>& on_event) {
  while (true) {
    Item item = TRY(next());
    if (item.kind == Kind::result) return std::move(item.value);
    if (on_event) on_event(item.value);
  }
}

Result<UniqueFd> Client::open() {
  if (first_) return std::move(first_);
  return connect_server(paths_.server_socket());
}

Result<Call> Client::start(const std::string& name, const JsonText& body) {
  auto state = std::make_unique<Call::State>();
  state->fd = TRY(open());
  state->request = request_text(name, body.str());
  if (!greeting_)
    state->reconnect = [paths = paths_, options = options_]() -> Result<UniqueFd> {
      Client next = TRY(connect(paths, options));
      return next.open();
    };
  TRY(state->send());
  return Call(std::move(state));
}

Result<Json> Client::call(const std::string& name, const JsonText& body,
                          const std::function<void(const Json&)>& on_event) {
  Call call = TRY(start(name, body));
  return call.finish(on_event);
}

Result<void> Client::hello() {
  greeting_ = true;
  auto said = hear_greeting();
  greeting_ = false;
  return said;
}

Result<void> Client::hear_greeting() {
  Call call = TRY(start(VersionRequest{}));
  while (true) {
    auto item = TRY(call.poll());
    if (item.kind == Call::Kind::result) {
      server_ = TRY(reply_to<VersionRequest>(item.value));
      break;
    }
    if (auto answers = wait_readable(call.fd(), kHelloPatience); !answers) {
      const auto peer = sys::peer_cred(call.fd());
      if (answers.error().code() != Errc::timed_out || !peer) return std::move(answers).error();
      return Error(Errc::timed_out,
                   "the server, process " + std::to_string(peer->pid) + ", does not answer")
          .with_hint(way_out(paths_, peer->pid));
    }
  }
  if (call.state_->reply.keep_alive()) first_ = std::move(call.state_->fd);
  return {};
}

Result<Client> Client::connect(const Paths& paths, Options options) {
  auto notice = [&](const std::string& text) {
    if (options.notice) options.notice(text);
  };
  bool restarted = false;
  for (int attempt = 1;; ++attempt) {
    Client client(paths, options);
    auto fd = connect_server(paths.server_socket());
    if (!fd && fd.error().code() == Errc::not_found)
      fd = options.start ? start_server(paths, options.notice) : await_server(paths);
    client.first_ = TRY(std::move(fd));
    if (auto met = client.hello(); !met) {
      // A server that is just ending takes connections and answers none: the next one will.
      if (attempt == 5 || met.error().code() == Errc::timed_out) return std::move(met).error();
      ::poll(nullptr, 0, attempt * 10);
      continue;
    }
    if (options.any_version) return client;
    const VersionReply& theirs = client.server_;
    const int order = compare({kVersion, kBuild}, {theirs.version, theirs.build});
    const std::string named = theirs.version + " (" + theirs.build + ")";
    if (order < 0)
      notice("this locald, " + std::string(kVersion) + ", is older than the running server, " +
             named);
    // Where the very program that runs is all there is to start, a restart brings nothing newer.
    if (order <= 0 || restarted || runs_our_program(client.first_)) return client;
    if (theirs.jobs != 0) {
      notice("the running server, " + named +
             ", is older than this locald and has work in progress; it is restarted later");
      return client;
    }
    if (const auto own = check_own_server(); !own) {
      notice("the running server, " + named +
             ", is older than this locald, and stays: " + own.error().text());
      return client;
    }
    // Another new locald may do the same at this moment; then its stop counts.
    if (client.stop_server(/*all=*/false))
      notice("the server was older than this locald and has been restarted; services kept running");
    restarted = true;
    options.start = true;
  }
}

Result<ServerStopReply> Client::stop_server(bool all,
                                            const std::function<void(const Json&)>& on_event) {
  // By pidfd, taken while the server answers: the very process that we talk to.
  const UniqueFd fd = TRY(connect_server(paths_.server_socket()));
  const int pid = TRY(sys::peer_cred(fd.get())).pid;
  const UniqueFd pidfd = TRY(sys::pidfd_open(pid));
  const ServerStopReply reply = TRY(ask(ServerStopRequest{all}, on_event));
  TRY(wait_readable(pidfd.get(), std::chrono::seconds(30))
          .context("the server has been told to stop and is still there")
          .hint("end it (its services keep running): kill -KILL " + std::to_string(pid)));
  return reply;
}

}  // namespace locald::ipc
