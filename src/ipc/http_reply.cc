#include "ipc/http_reply.h"

#include <algorithm>
#include <charconv>

#include "base/strings.h"

namespace locald::ipc {
namespace {

constexpr std::size_t kMaxHead =
    64u << 10;  // bytes of status line, headers, chunk sizes between bodies

Error corrupt(const std::string& what) {
  return Error(Errc::corrupt, "the server's reply is not HTTP: " + what);
}

}  // namespace

std::string_view HttpReply::header(std::string_view name) const {
  for (const auto& [key, value] : headers_)
    if (key == name) return value;
  return {};
}

Result<void> HttpReply::headers_done() {
  // An interim reply (1xx) is followed by the real one.
  if (status_ < 200) {
    headers_.clear();
    state_ = State::status_line;
    return {};
  }
  if (to_lower(header("connection")) == "close") keep_alive_ = false;
  if (to_lower(header("transfer-encoding")) == "chunked") {
    state_ = State::chunk_size;
  } else if (const auto length = header("content-length"); !length.empty()) {
    const auto bytes = parse_u64(length);
    if (!bytes) return corrupt("Content-Length: " + std::string(length));
    left_ = *bytes;
    state_ = left_ == 0 ? State::complete : State::body;
  } else if (status_ == 204) {
    state_ = State::complete;
  } else {
    until_close_ = true;
    keep_alive_ = false;
    state_ = State::body;
  }
  return {};
}

Result<void> HttpReply::line(std::string_view text) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  switch (state_) {
    case State::status_line: {
      const auto code = text.size() >= 12 && text.starts_with("HTTP/1.")
                            ? parse_u64(text.substr(9, 3))
                            : std::nullopt;
      if (!code || *code < 100) return corrupt("\"" + std::string(text.substr(0, 40)) + "\"");
      status_ = static_cast<int>(*code);
      if (text[7] == '0') keep_alive_ = false;
      state_ = State::headers;
      return {};
    }
    case State::headers: {
      if (text.empty()) return headers_done();
      const auto colon = text.find(':');
      if (colon == std::string_view::npos) return corrupt("a header without a colon");
      headers_.emplace_back(to_lower(text.substr(0, colon)), trim(text.substr(colon + 1)));
      return {};
    }
    case State::chunk_size: {
      text = text.substr(0, text.find(';'));
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), left_, 16);
      if (error != std::errc() || end != text.data() + text.size())
        return corrupt("chunk size \"" + std::string(text) + "\"");
      state_ = left_ == 0 ? State::trailers : State::chunk_data;
      head_bytes_ = 0;
      return {};
    }
    case State::chunk_end:
      if (!text.empty()) return corrupt("a chunk longer than it said");
      state_ = State::chunk_size;
      return {};
    case State::trailers:
      if (text.empty()) state_ = State::complete;
      return {};
    default:
      return {};
  }
}

Result<std::size_t> HttpReply::feed(std::string_view bytes) {
  const std::size_t given = bytes.size();
  started_ = started_ || given != 0;
  while (!bytes.empty() && state_ != State::complete) {
    if (state_ == State::body || state_ == State::chunk_data) {
      const auto n = until_close_
                         ? bytes.size()
                         : static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      sink_(bytes.substr(0, n));
      bytes.remove_prefix(n);
      if (until_close_) continue;
      left_ -= n;
      if (left_ == 0) state_ = state_ == State::body ? State::complete : State::chunk_end;
      continue;
    }
    const auto newline = bytes.find('\n');
    const auto n = newline == std::string_view::npos ? bytes.size() : newline + 1;
    if ((head_bytes_ += n) > kMaxHead) return corrupt("its head is too long");
    line_.append(bytes.substr(0, newline));
    bytes.remove_prefix(n);
    if (newline == std::string_view::npos) break;
    TRY(line(std::exchange(line_, {})));
  }
  return given - bytes.size();
}

Result<void> HttpReply::end() {
  if (until_close_ && state_ == State::body) state_ = State::complete;
  if (state_ != State::complete)
    return Error(Errc::corrupt, started_ ? "the server hung up in the middle of its reply"
                                         : "the server hung up before it answered");
  return {};
}

}  // namespace locald::ipc
