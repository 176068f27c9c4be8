#include "runtime/shim_record.h"

#include <fcntl.h>

#include <cerrno>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

constexpr std::size_t kMaxBytes = 1u << 20;
constexpr std::string_view kSuffix = ".json";
// All paths of writable folders together: a shim that is asked says a page of its record at most.
constexpr std::size_t kMaxPaths = 1024;

Result<InstanceRecord> read_record(const std::string& path) {
  auto text = read_file(path, kMaxBytes);
  if (text) return InstanceRecord::parse(*text, path);
  // A folder of that name, or a file without end: somebody has damaged it.
  if (text.error().sys_errno() == EISDIR || text.error().sys_errno() == ELOOP ||
      text.error().code() == Errc::invalid_input)
    return Error(Errc::corrupt, text.error().message());
  return std::move(text).error();
}

}  // namespace

Json InstanceRecord::without_shim() const {
  Json doc = Json::object({{"format", 1},
                           {"id", id},
                           {"nonce", nonce},
                           {"name", name},
                           {"kind", kind},
                           {"meta", meta},
                           {"log_dir", log_dir},
                           {"boot_id", boot_id},
                           {"folder", folder}});
  if (writable.empty()) return doc;
  Json list = Json::array();
  std::size_t length = 0;
  for (const WritableFolder& one : writable) {
    Json entry = Json::object({{"device", one.id.device}, {"inode", one.id.inode}});
    // Bytes that are not text would make the record unreadable.
    if (to_utf8(one.path) == one.path && (length += one.path.size()) <= kMaxPaths)
      entry.set("path", one.path);
    list.push(std::move(entry));
  }
  doc.set("writable", std::move(list));
  return doc;
}

std::string InstanceRecord::to_text() const {
  Json doc = without_shim();
  doc.set("shim_pid", shim_pid);
  doc.set("shim_start", shim_start);
  return doc.dump() + "\n";
}

std::vector<SharedFolder> InstanceRecord::shared() const {
  const std::size_t slash = name.find('/');
  const std::string first = name.substr(0, slash);
  const std::string rest = slash == std::string::npos ? "" : name.substr(slash + 1);
  const std::string by = rest.empty()           ? "instance " + id
                         : first == "container" ? "container " + rest
                         : first == "build"     ? "the build of " + rest
                                                : "service " + rest + " of project " + first;
  std::vector<SharedFolder> out;
  for (const WritableFolder& one : writable) out.push_back({one.path, by, one.id});
  return out;
}

Result<InstanceRecord> InstanceRecord::parse(const std::string& text, const std::string& path) {
  const auto damaged = [&](const std::string& why) {
    return Error(Errc::corrupt, path + " is damaged: " + why);
  };
  const auto doc = Json::parse(text);
  if (!doc) return damaged(doc.error().message());
  if (!(*doc)["format"].is_int()) return damaged("no format");
  if ((*doc)["format"].as_int() != 1)
    return Error(Errc::unsupported, path + " is of a newer locald");
  InstanceRecord record;
  record.id = (*doc)["id"].as_string();
  record.nonce = (*doc)["nonce"].as_string();
  record.name = (*doc)["name"].as_string();
  record.kind = (*doc)["kind"].as_string();
  record.meta = (*doc)["meta"].as_string();
  record.log_dir = (*doc)["log_dir"].as_string();
  record.boot_id = (*doc)["boot_id"].as_string();
  record.folder = (*doc)["folder"].as_string();
  record.shim_pid = static_cast<int>((*doc)["shim_pid"].as_int());
  record.shim_start = static_cast<std::uint64_t>((*doc)["shim_start"].as_int());
  for (const Json& one : (*doc)["writable"].as_array()) {
    if (!one["device"].is_int() || !one["inode"].is_int()) continue;
    WritableFolder& folder = record.writable.emplace_back();
    folder.id.device = static_cast<dev_t>(one["device"].as_int());
    folder.id.inode = static_cast<ino_t>(one["inode"].as_int());
    folder.path = one["path"].as_string();
  }
  if (record.id.empty() || record.nonce.empty() || record.kind.empty() || record.boot_id.empty() ||
      record.shim_pid <= 0 || record.shim_start == 0)
    return damaged("it lacks what proves whose it is");
  if (!record.meta.empty() && !Json::parse(record.meta)) return damaged("its meta is not JSON");
  return record;
}

Result<InstanceRecord> read_instance(const std::string& folder) {
  InstanceRecord record = TRY(read_record(folder + "/" + shim::kInstanceFile));
  record.folder = folder;  // an older shim does not say it
  return record;
}

Result<InstanceRecord> read_kept(const Paths& paths, const std::string& id) {
  InstanceRecord record = TRY(read_record(paths.instance_record(id)));
  if (record.id != id)
    return Error(Errc::corrupt, paths.instance_record(id) + " is of another instance");
  return record;
}

Result<void> keep(const Paths& paths, const InstanceRecord& record) {
  TRY(make_dirs(paths.instance_records(), 0700));
  return write_file_atomic(paths.instance_record(record.id), record.to_text(), 0600);
}

void forget(const Paths& paths, const std::string& id) {
  (void)remove_tree(paths.instance_record(id));  // what lies there may be a folder
}

Result<std::vector<std::string>> kept_ids(const Paths& paths) {
  std::vector<std::string> ids;
  const auto dir = sys::open(paths.instance_records(), O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().code() == Errc::not_found) return ids;
  if (!dir) return dir.error();
  TRY(list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    if (name.ends_with(kSuffix) && !name.starts_with("."))
      ids.push_back(name.substr(0, name.size() - kSuffix.size()));
    return {};
  }));
  return ids;
}

}  // namespace locald::runtime
