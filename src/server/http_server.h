#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/json.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace locald::server {

/// The answer to one request. The first call decides its form: event() makes it
/// a stream of lines, result() or error() alone one object (ipc/api.h). Exactly one
/// result() or error() ends it; what is said after that, or after the client has
/// hung up, is dropped. Loop thread only; keep the shared_ptr as long as you may answer.
class Reply {
 public:
  virtual ~Reply() = default;
  virtual void event(const Json& event) = 0;
  virtual void result(Json result) = 0;
  virtual void error(const Error& error) = 0;
  /// As error(), with more members in the "error" object.
  virtual void error(const Error& error, const Json::Object& more) = 0;
  /// Called once if the client goes before the end.
  virtual void on_hangup(std::function<void()> gone) = 0;
  virtual bool open() const = 0;  ///< not ended, client still there
};

struct Request {
  std::string name;  ///< "up", "container/run": what follows /v1/
  Json body;         ///< an object
};

/// HTTP/1.1 on a listening unix socket; Boost.Beast parses, seen by the .cc
/// alone. Each peer is checked (peer_check.h) before a byte of it is read; bodies are capped at
/// ipc::kMaxBody, connections at 512, a client that reads too slowly is hung up on
/// when 8 MiB wait for it. Loop thread only.
class HttpServer {
 public:
  using Handler = std::function<void(Request request, std::shared_ptr<Reply> reply)>;

  /// @param listener  Takes it; begins to accept at once.
  HttpServer(EventLoop& loop, UniqueFd listener, std::string version, std::string build,
             Handler handler);
  ~HttpServer();

  std::size_t connections() const;
  /// Accepts no more, lets replies that have ended be written out, then calls
  /// `drained` (at the latest after one second).
  void close(std::function<void()> drained);

  struct Impl;  ///< the .cc's

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace locald::server
