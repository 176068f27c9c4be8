#include "server/http/http_server.h"

#include <fmt/format.h>
#include <algorithm>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "base/strings.h"
#include "base/sys/resources.h"
#include "ipc/api.h"
#include "server/http/peer_check.h"
#include "server/http/reply_text.h"

namespace locald::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Local = asio::local::stream_protocol;
using std::chrono_literals::operator""s;

constexpr std::size_t kMaxQueued = 8u << 20;  // bytes
/// R-RESERVE: these are answered also where all places are taken.
constexpr std::string_view kAlways[] = {"version", "stop",         "kill",
                                        "down",    "container/rm", "server/stop"};

bool answered_always(std::string_view request) {
  return std::find(std::begin(kAlways), std::end(kAlways), request) != std::end(kAlways);
}

Error too_many(std::size_t connections) {
  return Error(Errc::failed, fmt::format("too many requests: {} are in progress", connections))
      .with_hint("wait for some to finish: ps -C locald shows the clients");
}

Error server_stopping() {
  return Error(Errc::cancelled, "the server is stopping").with_hint("try again in a moment");
}

Error server_stopped() {
  return Error(Errc::cancelled, "the server was stopped before this was done")
      .with_hint("running services are not affected; run the command again");
}

}  // namespace

class Connection;

struct HttpServer::Impl : std::enable_shared_from_this<Impl> {
  Impl(EventLoop& l, UniqueFd fd, const std::string& version, std::string own_build, Handler h,
       Limits bounds)
      : loop(l),
        acceptor(l.io(), Local(), fd.release()),
        build(std::move(own_build)),
        common_headers(std::string(ipc::kVersionHeader) + ": " + version + "\r\n" +
                       std::string(ipc::kBuildHeader) + ": " + build + "\r\n"),
        handler(std::move(h)),
        limits(bounds),
        drain_timer(l.io()) {}

  EventLoop& loop;
  Local::acceptor acceptor;
  std::string build;
  std::string common_headers;
  Handler handler;
  Limits limits;
  std::set<std::shared_ptr<Connection>> connections;
  std::size_t over = 0;       // of them: beyond the limit
  std::uint64_t silence = 0;  // counts the times that one began to be silent
  bool closing = false;
  std::function<void()> drained;
  asio::steady_timer drain_timer;
  std::optional<asio::steady_timer> accept_again;

  void accept();
  void take(Local::socket socket);
  void refuse(Local::socket socket) const;
  bool make_room(bool over);
  void forget(const std::shared_ptr<Connection>& connection);
  void finish_draining();
};

/// One client: reads a request, lets it be answered, reads the next.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// @param over  All places are taken: it is told so.
  Connection(std::shared_ptr<HttpServer::Impl> owner, Local::socket socket, bool over)
      : server_(std::move(owner)),
        socket_(std::move(socket)),
        timer_(socket_.get_executor()),
        over_(over) {}

  void read_request() {
    state_ = State::reading;
    if (server_->closing) take_no_more();
    silent_since_ = ++server_->silence;
    has_header_ = false;
    parser_.emplace();
    parser_->body_limit(ipc::kMaxBody);
    timer_.expires_after(server_->limits.idle);
    timer_.async_wait(
        [self = shared_from_this(), since = silent_since_](const boost::system::error_code& ec) {
          if (!ec && self->state_ == State::reading && self->silent_since_ == since) self->close();
        });
    auto done = [self = shared_from_this()](const boost::system::error_code& ec, std::size_t) {
      self->on_header(ec);
    };
    http::async_read_header(socket_, buffer_, *parser_, std::move(done));
  }

  // Of the reply:
  void event(const JsonText& event) {
    if (state_ != State::answering) return;
    if (!std::exchange(streaming_, true)) send(stream_begin(server_->common_headers));
    send(stream_line(event.str()));
  }
  void finish(int status, const std::string& document) {
    if (state_ != State::answering) return;
    if (streaming_) {
      send(stream_line(document));
      send(std::string(kStreamEnd));
    } else {
      send(whole_reply(status, server_->common_headers, document));
    }
    state_ = State::finished;
    gone_ = nullptr;
    if (queue_.empty()) next();
  }
  void on_hangup(std::function<void()> gone) { gone_ = std::move(gone); }
  /// What the client has sent is read and answered; what it sends from now on fails there at once,
  /// so that it knows that it was not taken.
  void take_no_more() {
    boost::system::error_code ignored;
    if (state_ == State::reading) socket_.shutdown(Local::socket::shutdown_receive, ignored);
  }
  bool reading() const { return state_ == State::reading; }
  bool answering() const { return state_ == State::answering; }
  bool writing() const { return !queue_.empty(); }
  bool over() const { return over_; }
  /// It has not said a whole request, and nothing more of one is here; the smaller, the longer.
  std::optional<std::uint64_t> silent_since() const {
    boost::system::error_code ignored;
    if (state_ != State::reading || parser_->is_done() || socket_.available(ignored) != 0)
      return std::nullopt;
    return silent_since_;
  }
  /// Gives its place up; a client that has begun to speak hears why.
  void turn_away() {
    if (!has_header_) return close();
    timer_.cancel();
    state_ = State::answering;
    keep_alive_ = false;
    finish(503, error_text(too_many(server_->limits.connections), {}));
  }

  void close() {
    if (state_ == State::closed) return;
    const bool pending = state_ == State::answering;
    state_ = State::closed;
    timer_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
    queue_.clear();
    if (auto gone = std::exchange(gone_, nullptr); gone && pending) gone();
    server_->forget(shared_from_this());
  }

 private:
  enum class State { reading, answering, finished, closed };

  void on_header(const boost::system::error_code& ec) {
    if (state_ != State::reading) return;
    if (ec == http::error::body_limit) return on_request(ec);
    if (ec) return close();
    has_header_ = true;
    http::async_read(socket_, buffer_, *parser_,
                     [self = shared_from_this()](const boost::system::error_code& read_ec,
                                                 std::size_t) { self->on_request(read_ec); });
  }

  void on_request(const boost::system::error_code& ec);

  /// While a reply is under way, readable means gone (we allow no pipelining).
  void watch_hangup() {
    socket_.async_wait(Local::socket::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& ec) {
                         if (ec || self->state_ != State::answering) return;
                         self->close();
                       });
  }

  void send(std::string bytes) {
    queued_bytes_ += bytes.size();
    queue_.push_back(std::move(bytes));
    if (queued_bytes_ > kMaxQueued) {
      // Not here: the caller may be in the middle of something that the end of the reply would
      // change.
      server_->loop.post([self = shared_from_this()] { self->close(); });
      return;
    }
    if (!writing_) write_more();
  }
  void write_more() {
    writing_ = true;
    // A reply that fits is gone before the loop turns.
    asio::async_write(
        socket_, asio::buffer(queue_.front()),
        [self = shared_from_this()](const boost::system::error_code& ec, std::size_t) {
          self->writing_ = false;
          if (self->state_ == State::closed) return;
          if (ec) return self->close();
          self->queued_bytes_ -= self->queue_.front().size();
          self->queue_.pop_front();
          if (!self->queue_.empty()) return self->write_more();
          if (self->state_ == State::finished) self->next();
        });
  }
  void next() {
    if (!keep_alive_) return close();
    streaming_ = false;
    socket_.cancel();  // the watch for a hang-up
    read_request();
  }

  std::shared_ptr<HttpServer::Impl> server_;
  Local::socket socket_;
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_{64 << 10 | ipc::kMaxBody};
  std::optional<http::request_parser<http::string_body>> parser_;
  State state_ = State::reading;
  const bool over_;
  std::uint64_t silent_since_ = 0;
  bool has_header_ = false;
  bool streaming_ = false, keep_alive_ = true, writing_ = false;
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  std::function<void()> gone_;
};

namespace {

class ConnectionSink final : public ReplySink {
 public:
  explicit ConnectionSink(std::shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  void event(const JsonText& event) override { connection_->event(event); }
  void result(const JsonText& result) override { connection_->finish(200, result_text(result)); }
  void error(const Error& e, const Json::Object& more) override {
    connection_->finish(http_status(e.code()), error_text(e, more));
  }
  void on_hangup(std::function<void()> gone) override { connection_->on_hangup(std::move(gone)); }
  bool connected() const override { return connection_->answering(); }

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace

void Connection::on_request(const boost::system::error_code& ec) {
  if (state_ != State::reading) return;
  timer_.cancel();
  if (ec && ec != http::error::body_limit) return close();
  state_ = State::answering;
  const auto request = parser_->release();
  keep_alive_ = !ec && request.keep_alive();
  const auto reply = std::make_shared<Reply>(std::make_unique<ConnectionSink>(shared_from_this()));
  if (ec) return reply->error(Error(Errc::invalid_input, "the request's body is too large"));
  if (server_->closing) return reply->error(server_stopping());
  constexpr std::string_view kPrefix = "/v1/";
  const std::string_view target(request.target().data(), request.target().size());
  if (over_ && !answered_always(target.substr(std::min(kPrefix.size(), target.size())))) {
    keep_alive_ = false;
    return finish(503, error_text(too_many(server_->limits.connections), {}));
  }
  if (request.method() != http::verb::post || target.substr(0, kPrefix.size()) != kPrefix)
    return reply->error(Error(Errc::not_found, "unknown endpoint; use POST /v1/NAME"));
  // Environments are part of requests: http_proxy beside HTTP_PROXY, and bytes that are not UTF-8.
  const auto parse = [&]() -> Result<Json> {
    if (request.body().empty()) return Json::object();
    return within_resources([&] {
      return Json::parse(request.body(), {.reject_duplicates = false, .any_bytes = true});
    });
  };
  auto body = parse();
  if (!body) return reply->error(std::move(body).error().with_context("the request's body"));
  if (!body->is_object())
    return reply->error(Error(Errc::invalid_input, "the request's body is not a JSON object"));
  watch_hangup();
  const auto build = request.find(std::string(ipc::kBuildHeader));
  const bool of_another_build =
      build != request.end() &&
      std::string_view(build->value().data(), build->value().size()) != server_->build;
  server_->handler(Request{std::string(target.substr(kPrefix.size())), std::move(*body),
                           of_another_build ? Reading::tolerant : Reading::strict},
                   reply);
}

void HttpServer::Impl::accept() {
  acceptor.async_accept(
      [self = shared_from_this()](const boost::system::error_code& ec, Local::socket socket) {
        if (ec == asio::error::operation_aborted || !self->acceptor.is_open()) return;
        if (ec) {
          // Out of descriptors or memory: the silent give theirs, others need a moment for it.
          self->make_room(/*over=*/false);
          self->accept_again.emplace(self->loop.io(), std::chrono::milliseconds(100));
          self->accept_again->async_wait([self](const boost::system::error_code& timer_ec) {
            if (!timer_ec) self->accept();
          });
          return;
        }
        // By post: what others have said and has been read is looked at first.
        if (check_peer(socket.native_handle()))
          asio::post(self->loop.io(), [self, s = std::move(socket)]() mutable {
            if (self->acceptor.is_open()) self->take(std::move(s));
          });
        self->accept();
      });
}

void HttpServer::Impl::take(Local::socket socket) {
  const bool beyond = connections.size() - over >= limits.connections && !make_room(/*over=*/false);
  if (beyond && over >= limits.refused && !make_room(/*over=*/true))
    return refuse(std::move(socket));
  if (beyond) ++over;
  const auto connection =
      std::make_shared<Connection>(shared_from_this(), std::move(socket), beyond);
  connections.insert(connection);
  connection->read_request();
}

/// Says so at once, without a place: of what the client has said nothing is looked at.
void HttpServer::Impl::refuse(Local::socket socket) const {
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  char unread[4096];
  // What is left unread at a close is a broken connection for the client.
  for (int i = 0; i < 16 && socket.read_some(asio::buffer(unread), ignored) != 0; ++i) {
  }
  const std::string reply =
      whole_reply(503, common_headers, error_text(too_many(limits.connections), {}));
  socket.write_some(asio::buffer(reply), ignored);
}

/// Turns away the one that has been silent for longest, of those within the limit or beyond.
bool HttpServer::Impl::make_room(bool beyond) {
  std::shared_ptr<Connection> longest;
  std::uint64_t since = 0;
  for (const auto& connection : connections)
    if (const auto silent = connection->silent_since();
        silent && connection->over() == beyond && (longest == nullptr || *silent < since)) {
      longest = connection;
      since = *silent;
    }
  if (longest == nullptr) return false;
  longest->turn_away();
  return true;
}

void HttpServer::Impl::forget(const std::shared_ptr<Connection>& connection) {
  if (connections.erase(connection) != 0 && connection->over()) --over;
  finish_draining();
}

void HttpServer::Impl::finish_draining() {
  if (!drained) return;
  for (const auto& connection : connections)
    if (connection->writing() || connection->reading()) return;
  drain_timer.cancel();
  loop.post(std::exchange(drained, nullptr));
}

HttpServer::HttpServer(EventLoop& loop, UniqueFd listener, std::string version, std::string build,
                       Handler handler, Limits limits)
    : impl_(std::make_shared<Impl>(loop, std::move(listener), version, std::move(build),
                                   std::move(handler), limits)) {
  impl_->accept();
}

HttpServer::~HttpServer() {
  boost::system::error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->accept_again.reset();
  impl_->handler = [](Request, const std::shared_ptr<Reply>&) {};
  const auto all = impl_->connections;
  for (const auto& connection : all) connection->close();
}

std::size_t HttpServer::connections() const { return impl_->connections.size(); }

void HttpServer::close(std::function<void()> drained) {
  boost::system::error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->closing = true;
  impl_->drained = std::move(drained);
  impl_->drain_timer.expires_after(1s);
  impl_->drain_timer.async_wait([impl = impl_](const boost::system::error_code& ec) {
    if (!ec && impl->drained) impl->loop.post(std::exchange(impl->drained, nullptr));
  });
  const auto all = impl_->connections;
  for (const auto& connection : all) {
    connection->take_no_more();
    if (connection->answering())
      connection->finish(http_status(Errc::cancelled), error_text(server_stopped(), {}));
  }
  impl_->finish_draining();
}

}  // namespace locald::server
