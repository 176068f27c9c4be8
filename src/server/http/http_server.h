#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/json/fields.h"
#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "server/http/reply.h"

namespace locald::server {

struct Request {
  std::string name;  ///< "up", "container/run": what follows /v1/
  Json body;         ///< an object
  /// Tolerant where the client says that it is of another build.
  Reading reading = Reading::strict;
};

/// HTTP/1.1 on a listening unix socket; Boost.Beast parses, seen by the .cc
/// alone. Each peer is checked (peer_check.h) before a byte of it is read; bodies are capped at
/// ipc::kMaxBody, a client that reads too slowly is hung up on when 8 MiB wait for it.
///
/// Connections are bounded, and silent ones do not hold up the others: a
/// whole request must have come within `Limits::idle` of the accept, or of the reply before; where
/// all places are taken, the one that has been silent for longest gives up its own, also in the
/// middle of a request, which is answered with 503 then. Where all are busy, so is a new request,
/// but for those that stop what runs (R-RESERVE). Loop thread only.
class HttpServer {
 public:
  using Handler = std::function<void(Request request, std::shared_ptr<Reply> reply)>;
  struct Limits {
    std::size_t connections = 512;
    std::size_t refused = 64;  ///< beyond those: their requests are answered with 503
    std::chrono::milliseconds idle{30'000};
  };

  /// @param listener  Takes it; begins to accept at once.
  HttpServer(EventLoop& loop, UniqueFd listener, std::string version, std::string build,
             Handler handler, Limits limits);
  HttpServer(EventLoop& loop, UniqueFd listener, std::string version, std::string build,
             Handler handler)
      : HttpServer(loop, std::move(listener), std::move(version), std::move(build),
                   std::move(handler), Limits()) {}
  ~HttpServer();

  std::size_t connections() const;
  /// Accepts no more, ends the replies that are open (the server was stopped), refuses the requests
  /// that have been sent, lets what was said be written out, then calls `drained` (at the latest
  /// after one second). A request that is sent afterwards fails at the client's write.
  void close(std::function<void()> drained);

  struct Impl;  ///< the .cc's

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace locald::server
