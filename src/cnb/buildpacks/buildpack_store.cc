#include "cnb/buildpacks/buildpack_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cnb/build/housekeeping.h"
#include "oci/ref/digest.h"
#include "runtime/processes.h"

namespace locald::cnb {
namespace {

constexpr int kFormat = 1;
constexpr std::string_view kNew = ".new-";
constexpr std::size_t kKeyDigits = 32;  // short, since lower folders share one page of options
constexpr std::size_t kMaxDocument = 16u << 20;
constexpr std::chrono::hours kDay{24};

Json read_json(const std::string& file) {
  const auto text = read_file(file, kMaxDocument);
  auto json = text ? Json::parse(*text) : Result<Json>(text.error());
  return json ? std::move(*json) : Json();
}

std::chrono::system_clock::time_point changed_at(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return {};
  return std::chrono::system_clock::from_time_t(st.st_mtim.tv_sec);
}

bool is_cheap(const Json& record) { return record["kind"].as_string() != "archive"; }

/// The process that makes one holds its lock.
bool is_under_way(const std::string& folder) {
  const auto dir = sys::open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return dir && ::flock(dir->get(), LOCK_EX | LOCK_NB) != 0;
}

}  // namespace

std::optional<BuildpackStore::Entry> BuildpackStore::find(const std::string& key) const {
  const Json record = read_json(dir_ + "/" + key + "/record.json");
  if (record["format"].as_int() != kFormat) return std::nullopt;
  const std::string& boot = record["boot_id"].as_string();
  if (!boot.empty() && boot != runtime::boot_id()) return std::nullopt;
  Entry entry{.key = key};
  for (const Json& m : record["modules"].as_array()) {
    auto order = order_from_json(m["order"]);
    if (!order) return std::nullopt;
    entry.modules.push_back({.id = m["id"].as_string(),
                             .version = m["version"].as_string(),
                             .api = m["api"].as_string(),
                             .order = std::move(*order),
                             .added = true});
  }
  return entry;
}

void BuildpackStore::touch(const std::string& key) const {
  (void)::utimensat(AT_FDCWD, (dir_ + "/" + key + "/used").c_str(), nullptr, 0);
}

std::string BuildpackStore::source_file(std::string_view source, const char* end) const {
  return dir_ + "/sources/" + oci::Digest::of(source).hex().substr(0, kKeyDigits) + end;
}

Json BuildpackStore::note(std::string_view source) const {
  return read_json(source_file(source, ".json"));
}

Result<void> BuildpackStore::write_note(std::string_view source, const Json& note) const {
  TRY(make_dirs(dir_ + "/sources"));
  return write_file_atomic(source_file(source, ".json"), note.dump());
}

std::string BuildpackStore::index_file(std::string_view source) const {
  return source_file(source, ".index");
}

Result<void> BuildpackStore::prune(const builder::Environment& environment,
                                   std::chrono::milliseconds unused) const {
  const auto now = std::chrono::system_clock::now();
  const auto latest = now - std::max<std::chrono::milliseconds>(unused, kDay);
  for (const std::string& name : names_in(dir_)) {
    const std::string path = dir_ + "/" + name;
    if (name == "sources") continue;
    if (name.starts_with(kNew)) {
      if (!is_under_way(path)) TRY(discard(environment, path));
      continue;
    }
    const auto used = changed_at(path + "/used");
    if (used > latest && !(is_cheap(read_json(path + "/record.json")) && used < now - kDay))
      continue;
    TRY(discard(environment, path));
  }
  for (const std::string& name : names_in(dir_ + "/sources"))
    if (changed_at(dir_ + "/sources/" + name) < now - 30 * kDay)
      TRY(remove_tree(dir_ + "/sources/" + name));
  return {};
}

std::string buildpack_key(std::string_view kind, std::string_view map, std::string_view content) {
  // The first word changes with anything that makes another tree of the same content.
  const std::string_view overlay = map == "root" ? "trusted" : "user";
  std::string text = "1\n";
  for (const std::string_view part : {kind, overlay, content}) (text += part) += '\n';
  return oci::Digest::of(text).hex().substr(0, kKeyDigits);
}

Json buildpack_record(const BuildpackStore::Entry& entry, std::string_view kind, bool durable) {
  Json modules = Json::array();
  for (const Module& m : entry.modules)
    modules.push(Json::object(
        {{"id", m.id}, {"version", m.version}, {"api", m.api}, {"order", to_json(m.order)}}));
  return Json::object({{"format", kFormat},
                       {"kind", kind},
                       {"boot_id", durable ? std::string() : runtime::boot_id()},
                       {"modules", std::move(modules)}});
}

}  // namespace locald::cnb
