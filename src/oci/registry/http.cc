#include "oci/registry/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "base/strings.h"
#include "base/sys/fs_at.h"

namespace locald::oci {
namespace {

constexpr std::size_t kMaxHeaderBytes = 64u << 10;
constexpr std::size_t kMaxBuffered = 1u << 20;  // then the sender is made to wait
constexpr long kReceiveBytes = 256L << 10;
constexpr std::size_t kStallBytes = 4096;  // less than this in a window is a stall
constexpr auto kPoll =
    std::chrono::milliseconds(500);  // for the stall's clock; data and stop wake us at once

/// The CAs for a registry: what the user gave for it, where Docker and Podman look too, or for all
/// (SSL_CERT_FILE). Empty: those that libcurl knows.
std::string registry_ca(const Url& url) {
  for (const char* dir : {"/etc/containers/certs.d/", "/etc/docker/certs.d/"})
    for (const std::string& name : {url.host_port(), url.host})
      if (const std::string file = dir + name + "/ca.crt"; exists(file)) return file;
  if (const char* file = std::getenv("SSL_CERT_FILE"); file != nullptr && *file != '\0')
    return file;
  // libcurl knows the place where it was built, Debian's; other distributions have another one.
  if (!exists("/etc/ssl/certs/ca-certificates.crt"))
    for (const char* file :
         {"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"})
      if (exists(file)) return file;
  return {};
}

void start_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

struct HttpClient::Handle {
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};
  bool attached = false;

  Handle() : multi(curl_multi_init()), easy(curl_easy_init()) {
    if (multi == nullptr || easy == nullptr) std::abort();  // no memory
  }
  ~Handle() {
    detach();
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  void detach() {
    if (attached) curl_multi_remove_handle(multi, easy);
    attached = false;
    curl_easy_reset(easy);
    curl_slist_free_all(headers);
    headers = nullptr;
  }
};

HttpClient::HttpClient(Options options) : options_(std::move(options)) { start_curl_once(); }
HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Handle> HttpClient::take() {
  const std::lock_guard guard(mutex_);
  if (idle_.empty()) return std::make_unique<Handle>();
  auto handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void HttpClient::give_back(std::unique_ptr<Handle> handle) {
  handle->detach();
  const std::lock_guard guard(mutex_);
  idle_.push_back(std::move(handle));
}

std::unique_ptr<HttpStream> HttpClient::send(Request request) {
  return std::unique_ptr<HttpStream>(new HttpStream(*this, std::move(request)));
}

HttpStream::HttpStream(HttpClient& client, HttpClient::Request request)
    : client_(client), request_(std::move(request)) {}

HttpStream::~HttpStream() {
  if (handle_) client_.give_back(std::move(handle_));
}

Result<void> HttpStream::start() {
  handle_ = client_.take();
  CURL* easy = handle_->easy;
  for (const std::string& header : request_.headers)
    handle_->headers = curl_slist_append(handle_->headers, header.c_str());
  // Not every registry answers to it, and each would be waited for a second.
  handle_->headers = curl_slist_append(handle_->headers, "Expect:");
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.str().c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, handle_->headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "locald/0.1");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBytes);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(client_.options_.connect.count()));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle_->error.data());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpStream::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &HttpStream::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  set_method();
  // What is on this machine needs no proxy and must not be shown to one.
  if (classify_host(request_.url.host) == HostClass::loopback)
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
  if (request_.url.scheme == "https") {
    if (const std::string ca = registry_ca(request_.url); !ca.empty())
      curl_easy_setopt(easy, CURLOPT_CAINFO, ca.c_str());
  }
  curl_multi_add_handle(handle_->multi, easy);
  handle_->attached = true;
  while (!headers_done_ && !finished_) TRY(advance());
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status_);
  return {};
}

void HttpStream::set_method() {
  using Method = HttpClient::Method;
  CURL* easy = handle_->easy;
  if (request_.method == Method::get) return;
  if (request_.method == Method::head) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
                   request_.method == Method::put     ? "PUT"
                   : request_.method == Method::patch ? "PATCH"
                                                      : "POST");
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body_bytes));
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, &HttpStream::on_send);
  curl_easy_setopt(easy, CURLOPT_READDATA, this);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, kReceiveBytes);
}

std::size_t HttpStream::on_send(char* to, std::size_t size, std::size_t count, void* self_ptr) {
  auto* self = static_cast<HttpStream*>(self_ptr);
  if (self->outgoing_.empty() && self->request_.body != nullptr) {
    auto chunk = self->request_.body->read();
    if (!chunk) {
      self->broken_ = std::move(chunk).error();
      return CURL_READFUNC_ABORT;
    }
    self->outgoing_ = *chunk;
  }
  const std::size_t bytes = std::min(size * count, self->outgoing_.size());
  std::memcpy(to, self->outgoing_.data(), bytes);
  self->outgoing_ = self->outgoing_.subspan(bytes);
  self->window_bytes_ += bytes;
  return bytes;
}

std::string HttpStream::header(const std::string& name) const {
  const auto found = headers_.find(name);
  return found == headers_.end() ? std::string() : found->second;
}

std::size_t HttpStream::on_header(char* data, std::size_t size, std::size_t count, void* self_ptr) {
  auto* self = static_cast<HttpStream*>(self_ptr);
  const std::size_t bytes = size * count;
  self->header_bytes_ += bytes;
  self->window_bytes_ += bytes;
  if (self->header_bytes_ > kMaxHeaderBytes) return 0;
  const std::string_view line = trim({data, bytes});
  if (line.substr(0, 5) == "HTTP/") {
    self->headers_.clear();  // a further answer, after "100 Continue" or a proxy's own
    self->headers_done_ = false;
    return bytes;
  }
  if (line.empty()) {
    long status = 0;
    curl_easy_getinfo(self->handle_->easy, CURLINFO_RESPONSE_CODE, &status);
    self->headers_done_ = status >= 200;
    return bytes;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return bytes;
  std::string& value = self->headers_[to_lower(trim(line.substr(0, colon)))];
  if (!value.empty()) value += ", ";
  value += trim(line.substr(colon + 1));
  return bytes;
}

std::size_t HttpStream::on_body(char* data, std::size_t size, std::size_t count, void* self_ptr) {
  auto* self = static_cast<HttpStream*>(self_ptr);
  const std::size_t bytes = size * count;
  if (self->incoming_.size() >= kMaxBuffered) {
    self->paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  const auto* first = reinterpret_cast<const std::byte*>(data);
  self->incoming_.insert(self->incoming_.end(), first, first + bytes);
  self->window_bytes_ += bytes;
  return bytes;
}

/// One step: lets curl do what it can, and waits for the network if that was nothing.
Result<void> HttpStream::advance() {
  if (client_.options_.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
  int running = 0;
  const std::size_t before = window_bytes_;
  curl_multi_perform(handle_->multi, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(handle_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    finished_ = true;
    if (message->data.result == CURLE_OK) continue;
    if (message->data.result == CURLE_ABORTED_BY_CALLBACK && broken_) return Error(*broken_);
    Error error = failure(static_cast<int>(message->data.result));
    if (!headers_done_) return error;
    broken_ = std::move(error);
  }
  if (finished_ || window_bytes_ != before) return {};

  const auto from = std::chrono::steady_clock::now();
  {
    CURLM* multi = handle_->multi;
    const std::stop_callback wake(client_.options_.stop, [multi] { curl_multi_wakeup(multi); });
    int ready = 0;
    curl_multi_poll(multi, nullptr, 0,
                    static_cast<int>(std::min(kPoll, client_.options_.stall).count()), &ready);
  }
  waited_ += std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - from);
  if (waited_ < client_.options_.stall) return {};
  if (window_bytes_ < kStallBytes) {
    transient_ = true;
    return Error(Errc::timed_out, request_.url.host_port() + " sent " +
                                      std::to_string(window_bytes_) + " bytes in " +
                                      std::to_string(waited_.count() / 1000) + " s");
  }
  waited_ = {};
  window_bytes_ = 0;
  return {};
}

Result<std::span<const std::byte>> HttpStream::read() {
  incoming_.swap(given_);
  incoming_.clear();
  while (given_.empty() && !finished_) {
    if (paused_) {
      paused_ = false;
      curl_easy_pause(handle_->easy, CURLPAUSE_CONT);  // may call on_body at once
    }
    if (incoming_.empty()) TRY(advance());
    incoming_.swap(given_);
  }
  if (given_.empty() && broken_) return Error(*broken_);
  return std::span<const std::byte>(given_);
}

Result<std::string> HttpStream::body(std::size_t max_bytes) {
  std::string out;
  for (auto chunk = TRY(read()); !chunk.empty(); chunk = TRY(read())) {
    if (out.size() + chunk.size() > max_bytes)
      return Error(
          Errc::invalid_input,
          request_.url.host_port() + " sent a document of more than " + human_bytes(max_bytes));
    out.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
  }
  return out;
}

std::string HttpStream::some_body(std::size_t max_bytes) {
  std::string out;
  while (out.size() < max_bytes) {
    auto chunk = read();
    if (!chunk || chunk->empty()) break;
    out.append(reinterpret_cast<const char*>(chunk->data()),
               std::min(chunk->size(), max_bytes - out.size()));
  }
  return out;
}

Error HttpStream::failure(int curl_code) {
  const auto code = static_cast<CURLcode>(curl_code);
  const std::string detail =
      handle_->error[0] != '\0' ? handle_->error.data() : curl_easy_strerror(code);
  const std::string& where = request_.url.host_port();
  long os_errno = 0;
  curl_easy_getinfo(handle_->easy, CURLINFO_OS_ERRNO, &os_errno);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Error(Errc::unavailable, "there is no host " + request_.url.host + " (" + detail + ")")
          .with_hint("check the name, and that this machine has a network and DNS");
    case CURLE_COULDNT_CONNECT:
      return Error(
                 Errc::unavailable,
                 "nobody answers at " + where +
                     (os_errno != 0 ? std::string(": ") + std::strerror(static_cast<int>(os_errno))
                                    : ""))
          .with_hint("is the registry up? curl -v " + request_.url.origin() + "/v2/");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Error(Errc::denied, where + ": certificate verification failed: " + detail)
          .with_hint("if it is yours, put its CA into /etc/docker/certs.d/" + where +
                     "/ca.crt; check this machine's clock (date)");
    case CURLE_SSL_CONNECT_ERROR:
      mismatch_ = true;
      return Error(Errc::failed, "TLS with " + where + " failed: " + detail)
          .with_hint("does it speak https? Plain http is taken from loopback only");
    case CURLE_OPERATION_TIMEDOUT:
      transient_ = true;
      return Error(Errc::timed_out, where + " does not answer: " + detail)
          .with_hint("check the network and any proxy");
    case CURLE_WRITE_ERROR:
      if (header_bytes_ > kMaxHeaderBytes)
        return Error(Errc::invalid_input,
                     where + " sent more than " + human_bytes(kMaxHeaderBytes) + " of headers");
      return Error(Errc::failed, where + ": " + detail);
    case CURLE_GOT_NOTHING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
      mismatch_ = true;
      transient_ = code == CURLE_GOT_NOTHING;
      return Error(transient_ ? Errc::unavailable : Errc::failed,
                   where + " does not answer in HTTP: " + detail);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      mismatch_ = status_ == 0;
      [[fallthrough]];
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      transient_ = true;
      return Error(Errc::unavailable, "the connection to " + where + " broke: " + detail);
    default:
      return Error(Errc::failed, where + ": " + detail);
  }
}

}  // namespace locald::oci
