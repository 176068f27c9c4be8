#include "server/state/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <utility>

#include "base/error_kind.h"
#include "base/sys/fs_at.h"
#include "base/sys/set_aside.h"

namespace locald::server {

Result<Json> load_state_file(const std::string& path, int format, const char* entries,
                             std::string& notice) {
  auto text = read_file(path);
  if (!text && text.error().code() == Errc::not_found) return Json::object();
  if (!text && !says_something(text.error())) return std::move(text).error();
  // One that this user cannot read, a folder in its place: damaged like bytes that are not JSON.
  const auto document = text ? Json::parse(*text) : Result<Json>(std::move(text).error());
  if (document && (*document)["format"].as_int() > format)
    return Error(Errc::unsupported,
                 fmt::format("{} was written by a newer locald (format {}, known is {})", path,
                             (*document)["format"].as_int(), format))
        .with_hint("what runs keeps running: reach it with that version, or move the file away");
  if (document && (*document)["format"].as_int() > 0 && (*document)[entries].is_object())
    return *document;
  set_state_file_aside(path, document ? "it is not a state file" : document.error().message(),
                       notice);
  return Json::object();
}

void set_state_file_aside(const std::string& path, const std::string& why, std::string& notice) {
  notice = fmt::format("{} could not be read ({}); ", path, why);
  if (const auto aside = set_aside(AT_FDCWD, path))
    notice += "it was set aside as " + *aside;
  else
    notice += aside.error().message();
}

Result<void> save_state_file(const std::string& path, int format, Json document) {
  document.set("format", format);
  return write_file_atomic(path, document.dump(true) + "\n", 0600, Durability::synced);
}

}  // namespace locald::server
