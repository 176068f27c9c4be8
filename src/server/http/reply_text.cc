#include "server/http/reply_text.h"

#include <fmt/format.h>
#include <boost/beast/http/status.hpp>

#include "base/strings.h"

namespace locald::server {

std::string result_text(const JsonText& result) { return "{\"result\":" + result.str() + "}"; }

std::string error_text(const Error& error, const Json::Object& more) {
  Json object = Json::object(
      {{"code", to_string(error.code())}, {"message", error.message()}, {"hint", error.hint()}});
  for (const auto& [key, value] : more) object.set(key, value);
  return "{\"error\":" + object.dump() + "}";
}

int http_status(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_input:
      return 400;
    case Errc::denied:
      return 403;
    case Errc::not_found:
      return 404;
    case Errc::already_exists:
      return 409;
    default:
      return 500;
  }
}

std::string whole_reply(int status, std::string_view headers, std::string_view document) {
  const std::string body = to_utf8(document);
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}", status,
      std::string_view(
          boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status))),
      body.size(), headers, body);
}

std::string stream_begin(std::string_view headers) {
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: "
      "chunked\r\n{}\r\n",
      headers);
}

std::string stream_line(std::string_view document) {
  const std::string line = to_utf8(document);
  return fmt::format("{:x}\r\n{}\n\r\n", line.size() + 1, line);
}

}  // namespace locald::server
