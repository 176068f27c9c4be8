#pragma once
#include <string>
#include <string_view>

#include "base/json/json.h"
#include "base/json/json_text.h"
#include "base/result.h"

/// The texts that replies to clients consist of: JSON, and the HTTP around it (ipc/api.h).
namespace locald::server {

std::string result_text(const JsonText& result);
/// @param more  further members of the "error" object
std::string error_text(const Error& error, const Json::Object& more);
int http_status(Errc code) noexcept;

/// JSON is UTF-8, whatever bytes stand in names of files and in what programs wrote: these see to
/// it. @param headers  lines with their ends
std::string whole_reply(int status, std::string_view headers, std::string_view document);
std::string stream_begin(std::string_view headers);
std::string stream_line(std::string_view document);
inline constexpr std::string_view kStreamEnd = "0\r\n\r\n";

}  // namespace locald::server
