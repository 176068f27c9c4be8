#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/json/fields.h"
#include "base/paths.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "ipc/http_reply.h"
#include "ipc/messages/server.h"

namespace locald::ipc {

/// What stands under "result", as the reply to an `R`. The server may be of another build: what it
/// has more is passed over, what it has less is at its default.
template <class R>
Result<typename R::Reply> reply_to(const Json& result) {
  return decode<typename R::Reply>(result, Reading::tolerant);
}

/// One request under way: its reply arrives as events and then a result (api.h).
///
///     auto call = TRY(client.start(request));
///     while (true) {
///       auto item = TRY(call.next());                 // the request's own error too
///       if (item.kind == Call::Kind::result) break;
///       progress.show(item.value);
///     }
///
/// Destroying it in the middle hangs up. Thread-compatible.
class Call {
 public:
  enum class Kind { nothing, event, result };
  struct Item {
    Kind kind = Kind::nothing;
    Json value;  ///< an event as it came, or what stands under "result"
  };

  Call(Call&&) noexcept;
  Call& operator=(Call&&) noexcept;
  ~Call();

  int fd() const noexcept;  ///< for poll(2); readable when poll() may have something
  /// What has arrived, without waiting; Kind::nothing where nothing has. Call it until then.
  Result<Item> poll();
  /// Waits for the next event or the result.
  Result<Item> next();
  /// The "error" object that the server answered with, for those who know its further members; null
  /// before that, and where the error is not the server's.
  const Json& error_object() const noexcept;
  /// Waits for the result; events go to `on_event`.
  Result<Json> finish(const std::function<void(const Json&)>& on_event = {});

 private:
  friend class Client;
  struct State;
  explicit Call(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The CLI's end of the server's socket.
///
/// connect() starts the server where it is not running, refuses a socket that
/// another user listens on, and settles versions: a server older than us is
/// restarted unless it has a job (services go on), a newer one is told of.
class Client {
 public:
  struct Options {
    bool start = true;  ///< false: Errc::not_found where no server runs
    std::function<void(const std::string& text)> notice = {};  ///< for people; may be empty
    /// For a restart or stop of the server, which must not restart it first.
    bool any_version = false;
  };
  static Result<Client> connect(const Paths& paths, Options options);

  /// Sends a request. Several may be under way; each has its own connection then. Where the server
  /// ends before it has taken the request, the next one gets it, started as connect() does.
  Result<Call> start(const std::string& name, const JsonText& body);
  /// Sends a request and waits for its result.
  Result<Json> call(const std::string& name, const JsonText& body,
                    const std::function<void(const Json&)>& on_event = {});

  /// The same for a request of ipc/messages.
  template <class R>
  requires requires { R::kName; }
  Result<Call> start(const R& request) { return start(R::kName, encode_text(request)); }
  template <class R>
  requires requires { R::kName; }
  Result<Json> call(const R& request, const std::function<void(const Json&)>& on_event = {}) {
    return call(R::kName, encode_text(request), on_event);
  }

  /// The same, with the reply read.
  template <class R>
  Result<typename R::Reply> ask(const R& request,
                                const std::function<void(const Json&)>& on_event = {}) {
    return reply_to<R>(TRY(call(request, on_event)));
  }

  /// What the server said of itself on connecting.
  const VersionReply& server() const noexcept { return server_; }

  /// Stops the server (services go on, or are stopped with `all`) and returns
  /// when its process has ended.
  Result<ServerStopReply> stop_server(bool all,
                                      const std::function<void(const Json&)>& on_event = {});

 private:
  Client(Paths paths, Options options) : paths_(std::move(paths)), options_(std::move(options)) {}
  Result<UniqueFd> open();
  Result<void> hello();
  Result<void> hear_greeting();

  Paths paths_;
  Options options_;
  bool greeting_ = false;  // connect() itself goes to the next server where this one ends
  UniqueFd first_;         // the connection that connect() made, for the first request
  VersionReply server_;
};

}  // namespace locald::ipc
