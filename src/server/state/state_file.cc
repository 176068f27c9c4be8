#include "server/state/state_file.h"

#include <fcntl.h>

#include <cerrno>

#include "base/sys/fs_at.h"
#include "base/sys/set_aside.h"

namespace locald::server {

Result<Json> load_state_file(const std::string& path, int format, std::string& notice) {
  auto text = read_file(path);
  if (!text && text.error().code() == Errc::not_found) return Json::object();
  // A folder in its place, or no end to it: damaged like bytes that are not JSON.
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
  const std::string aside = TRY(set_aside(AT_FDCWD, path));
  notice = path + " could not be read (" +
           (document ? "it is not a state file" : document.error().message()) +
           "); it was set aside as " + aside;
  return Json::object();
}

Result<void> save_state_file(const std::string& path, int format, Json document) {
  document.set("format", format);
  return write_file_atomic(path, document.dump(true) + "\n", 0600, Durability::synced);
}

}  // namespace locald::server
