#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/json.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "server/reply.h"

namespace locald::server {

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
