#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace locald::ipc {

/// Reads one HTTP/1.1 reply as its bytes arrive (RFC 9112): status line and
/// headers, then a body by Content-Length, chunked, or up to the end of the connection.
/// The client's half only, for a peer that has proved to be our own user.
class HttpReply {
 public:
  using Sink = std::function<void(std::string_view body_bytes)>;
  explicit HttpReply(Sink sink) : sink_(std::move(sink)) {}

  /// Takes the next bytes; body bytes go to the sink at once.
  /// @return how many were used: fewer than given only where the reply is complete.
  ///         Errc::corrupt for what is not an HTTP reply; the object is then of no further use.
  Result<std::size_t> feed(std::string_view bytes);
  /// The connection has ended. Errc::corrupt in the middle of a reply.
  Result<void> end();

  bool complete() const noexcept { return state_ == State::complete; }
  bool started() const noexcept { return started_; }        ///< a byte has come
  int status() const noexcept { return status_; }           ///< 0 before the headers are there
  bool keep_alive() const noexcept { return keep_alive_; }  ///< the connection may be used again
  /// The value of a header, "" where there is none; `name` in lower case.
  std::string_view header(std::string_view name) const;

 private:
  enum class State {
    status_line,
    headers,
    body,
    chunk_size,
    chunk_data,
    chunk_end,
    trailers,
    complete
  };
  Result<void> line(std::string_view text);
  Result<void> headers_done();

  Sink sink_;
  State state_ = State::status_line;
  bool started_ = false;
  bool keep_alive_ = true;
  bool until_close_ = false;
  int status_ = 0;
  std::uint64_t left_ = 0;  // bytes of the body or of the present chunk
  std::size_t head_bytes_ = 0;
  std::string line_;  // an unfinished line
  std::vector<std::pair<std::string, std::string>> headers_;
};

}  // namespace locald::ipc
