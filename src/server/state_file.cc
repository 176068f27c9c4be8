#include "server/state_file.h"

#include <cerrno>
#include <chrono>
#include <cstdio>

#include "base/fs_at.h"

namespace locald::server {

Result<Json> load_state_file(const std::string& path, int format, std::string& notice) {
  auto text = read_file(path);
  if (!text && text.error().code() == Errc::not_found) return Json::object();
  // A folder in its place, or no end to it: damaged like bytes that are no JSON.
  const bool odd =
      !text && (text.error().sys_errno() == EISDIR || text.error().sys_errno() == ELOOP ||
                text.error().code() == Errc::invalid_input);
  if (!text && !odd) return std::move(text).error();
  auto document = text ? Json::parse(*text) : Result<Json>(text.error());
  if (document && document->is_object() && (*document)["format"].as_int() > 0) {
    if ((*document)["format"].as_int() <= format) return std::move(*document);
    return Error(Errc::unsupported, path + " was written by a newer locald (format " +
                                        std::to_string((*document)["format"].as_int()) +
                                        ", known is " + std::to_string(format) + ")")
        .with_hint("use that version, or move the file away");
  }
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string aside = path + ".corrupt-" + std::to_string(now);
  if (std::rename(path.c_str(), aside.c_str()) != 0)
    return Error::from_errno(errno, "set " + path + " aside");
  notice = path + " could not be read (" +
           (document ? "no state file" : document.error().message()) + "); it was set aside as " +
           aside;
  return Json::object();
}

Result<void> save_state_file(const std::string& path, int format, Json document) {
  document.set("format", format);
  return write_file_atomic(path, document.dump(true) + "\n", 0600, Durability::synced);
}

}  // namespace locald::server
