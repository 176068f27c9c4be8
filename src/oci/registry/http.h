#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/archive/byte_source.h"
#include "oci/registry/url.h"

namespace locald::oci {

class HttpStream;

/// Requests by libcurl, one at a time a stream, with keep-alive between them.
/// Follows no redirect, stores no cookie, sends no credentials but the header it
/// is given. Thread-safe; every stream belongs to one thread. Outlives its streams.
class HttpClient {
 public:
  struct Options {
    std::stop_token stop;  ///< ends waiting with Errc::cancelled
    std::chrono::milliseconds stall{
        60'000};  ///< this long for next to nothing is the end (Errc::timed_out)
    std::chrono::milliseconds connect{15'000};
  };
  explicit HttpClient(Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  enum class Method : std::uint8_t { get, head, post, put, patch };
  struct Request {
    Url url;
    std::vector<std::string> headers;  ///< "Name: value"
    Method method = Method::get;
    /// Of post, put and patch: `body_bytes` are read from it while the answer is waited for. Null:
    /// an empty body.
    std::unique_ptr<ByteSource> body = nullptr;
    std::uint64_t body_bytes = 0;
  };
  /// Starts the request; HttpStream::start() sends the body and waits for the answer.
  std::unique_ptr<HttpStream> send(Request request);

  const Options& options() const noexcept { return options_; }

 private:
  friend class HttpStream;
  struct Handle;
  std::unique_ptr<Handle> take();
  void give_back(std::unique_ptr<Handle> handle);

  Options options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;  // each with its connections
};

/// One answer: status and headers, then the body as a stream. Memory: O(1);
/// a reader that does not read stops the sender by TCP's own means.
class HttpStream final : public ByteSource {
 public:
  ~HttpStream() override;

  /// Waits for status and headers (at most 64 KiB of them).
  Result<void> start();
  /// After start().
  long status() const noexcept { return status_; }
  /// A header's value by its lower-case name, or ""; several of a name are joined by ", ".
  std::string header(const std::string& name) const;

  Result<std::span<const std::byte>> read() override;
  /// The whole body; more than `max_bytes` is Errc::invalid_input.
  Result<std::string> body(std::size_t max_bytes);
  /// The first `max_bytes` of the body, whatever comes of the rest: for error pages.
  std::string some_body(std::size_t max_bytes);

  /// After an error: may the same request go well when it is tried again?
  bool transient() const noexcept { return transient_; }
  /// After an error: the other side does not speak what we spoke (http to a TLS port).
  bool protocol_mismatch() const noexcept { return mismatch_; }

 private:
  friend class HttpClient;
  HttpStream(HttpClient& client, HttpClient::Request request);
  Result<void> advance();
  Error failure(int curl_code);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_send(char* to, std::size_t size, std::size_t count, void* self);
  void set_method();

  HttpClient& client_;
  HttpClient::Request request_;
  std::unique_ptr<HttpClient::Handle> handle_;
  long status_ = 0;
  std::map<std::string, std::string> headers_;
  std::size_t header_bytes_ = 0;
  std::span<const std::byte> outgoing_;  // of the body, lent by its source
  std::vector<std::byte> incoming_;
  std::vector<std::byte> given_;  // what the last read() lent out
  std::optional<Error> broken_;   // told after the bytes that came before it
  bool headers_done_ = false;
  bool finished_ = false;
  bool paused_ = false;
  bool transient_ = false;
  bool mismatch_ = false;
  std::chrono::milliseconds waited_{0};  // in the present stall window
  std::size_t window_bytes_ = 0;
};

}  // namespace locald::oci
