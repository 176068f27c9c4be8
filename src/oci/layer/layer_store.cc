#include "oci/layer/layer_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "base/json/json.h"
#include "base/strings.h"
#include "base/sys/file_lock.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::oci {
namespace {

constexpr const char* kTree = "diff";
constexpr const char* kRecord = "layer.json";
constexpr const char* kStaging = ".staging";
constexpr const char* kLinks = "l";
constexpr std::int64_t kFormat = 1;
constexpr std::size_t kIdDigits = 64;
/// 128 layers of this length, with their colons, take 2.5 KiB of the 4 KiB page of mount options.
constexpr std::size_t kShortDigits = 16;

/// The folder's name: by itself where the layer stands alone, else with its chain.
std::string alone_name(const LayerKey& layer) { return layer.diff_id.hex(); }
std::string chain_name(const LayerKey& layer) {
  return layer.diff_id.hex() + "." + layer.chain_id.hex();
}

std::string_view map_name(IdMap map) {
  switch (map) {
    case IdMap::root:
      return "root";
    case IdMap::subuid:
      return "subuid";
    case IdMap::single:
      return "single";
  }
  return "?";
}

struct Record {
  AppliedLayer layer;
  std::string map;
  std::string map_id;
  std::string link;
};

std::string to_text(const Record& record) {
  return Json::object({{"format", kFormat},
                       {"diff_id", record.layer.diff_id.str()},
                       {"id_map", record.map},
                       {"id_map_range", record.map_id},
                       {"link", record.link},
                       {"bytes", record.layer.bytes},
                       {"entries", record.layer.entries},
                       {"used_lowers", record.layer.used_lowers},
                       {"skipped_devices", record.layer.skipped_devices},
                       {"warnings", record.layer.warnings}})
             .dump(/*pretty=*/true) +
         "\n";
}

Result<Record> read_record(const std::string& folder) {
  const Json json = TRY(Json::parse(TRY(read_file(folder + "/" + kRecord, 1u << 20))));
  if (TRY(json.get_int("format")) != kFormat)
    return Error(Errc::unsupported, folder + ": written by another version of locald");
  Record record{{TRY(Digest::parse(TRY(json.get_string("diff_id"))))}, {}, {}, {}};
  record.map = TRY(json.get_string("id_map"));
  record.map_id = TRY(json.get_string("id_map_range"));
  record.link = TRY(json.get_string("link"));
  record.layer.bytes = static_cast<std::uint64_t>(TRY(json.get_int("bytes")));
  record.layer.entries = static_cast<std::uint64_t>(TRY(json.get_int("entries")));
  record.layer.used_lowers = TRY(json.get_bool("used_lowers"));
  record.layer.skipped_devices = static_cast<unsigned>(TRY(json.get_int("skipped_devices")));
  record.layer.warnings = TRY(json.get_strings("warnings"));
  return record;
}

/// Opens the folder and takes its lock. nullopt: another holds it (without `wait`), or it is not
/// what the name means any more.
Result<std::optional<UniqueFd>> lock_dir(int parent, const std::string& name, bool wait) {
  auto dir = sys::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) {
    if (dir.error().code() == Errc::not_found) return std::optional<UniqueFd>();
    return std::move(dir).error();
  }
  while (::flock(dir->get(), wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return std::optional<UniqueFd>();
    return Error::from_errno(errno, "lock " + name);
  }
  // Committed or removed while we waited.
  if (!still_named(dir->get(), parent, name)) return std::optional<UniqueFd>();
  return std::optional<UniqueFd>(std::move(*dir));
}

Result<void> remove_content(int dir) {
  std::vector<std::string> names;
  TRY(list_dir(dir, [&names](const std::string& name, unsigned char /*type*/) -> Result<void> {
    names.push_back(name);
    return {};
  }));
  for (const std::string& name : names) TRY(remove_tree(dir, name));
  return {};
}

/// Puts `name` out of the way and then removes it, so that a crash leaves a
/// leftover in .staging and never half a layer under a layer's name.
Result<void> discard(int layers, int staging, const std::string& name) {
  const auto lock =
      TRY(lock_dir(layers, name, /*wait=*/true));  // so that no sweep() removes it beside us
  if (!lock) return {};
  const std::string aside = "gone." + random_hex(8);
  if (::renameat(layers, name.c_str(), staging, aside.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return Error::from_errno(errno, "set the layer " + name + " aside");
  }
  return remove_tree(staging, aside);
}

/// Makes l/<short> for the folder; a longer name where another layer has the short one already.
Result<std::string> make_link(int links, const std::string& folder, const Digest& key) {
  const std::string target = "../" + folder + "/" + kTree;
  for (std::size_t digits = kShortDigits; digits <= kIdDigits; digits += 8) {
    std::string link = key.hex().substr(0, digits);
    if (::symlinkat(target.c_str(), links, link.c_str()) == 0) return link;
    if (errno != EEXIST) return Error::from_errno(errno, "make the link " + link);
    std::string present(target.size() + 1, '\0');
    const ssize_t size = ::readlinkat(links, link.c_str(), present.data(), present.size());
    if (size >= 0 && present.substr(0, static_cast<std::size_t>(size)) == target) return link;
  }
  return Error(Errc::failed, "no short name is left for the layer " + folder);
}

}  // namespace

std::vector<LayerKey> layer_keys(const std::vector<Digest>& diff_ids) {
  std::vector<LayerKey> keys;
  std::map<Digest, LayerKey> first;
  std::optional<Digest> chain;
  for (const Digest& diff_id : diff_ids) {
    chain = chain ? Digest::of(chain->str() + " " + diff_id.str()) : diff_id;
    keys.push_back(first.try_emplace(diff_id, diff_id, *chain).first->second);
  }
  return keys;
}

Result<LayerStore> LayerStore::open(const std::string& layers_dir, IdMap map, std::string map_id) {
  const UniqueFd dir = TRY(make_dirs(layers_dir));
  TRY(sys::mkdirat(dir.get(), kStaging, 0700));
  TRY(sys::mkdirat(dir.get(), kLinks, 0700));
  return LayerStore(layers_dir, map, std::move(map_id));
}

namespace {

/// The folder that holds the layer for this map, if it is committed.
std::optional<std::pair<std::string, Record>> find(const std::string& dir, const LayerKey& layer,
                                                   IdMap map, const std::string& map_id) {
  for (const std::string& name : {alone_name(layer), chain_name(layer)}) {
    auto record = read_record(dir + "/" + name);
    if (record && record->layer.diff_id == layer.diff_id && record->map == map_name(map) &&
        record->map_id == map_id)
      return std::pair(name, std::move(*record));
  }
  return std::nullopt;
}

}  // namespace

bool LayerStore::has(const LayerKey& layer) const {
  return find(dir_, layer, map_, map_id_).has_value();
}

std::string LayerStore::path(const LayerKey& layer) const {
  const auto found = find(dir_, layer, map_, map_id_);
  return dir_ + "/" + (found ? found->first : alone_name(layer)) + "/" + kTree;
}

Result<std::string> LayerStore::short_path(const LayerKey& layer) const {
  const auto found = find(dir_, layer, map_, map_id_);
  if (!found)
    return Error(Errc::not_found,
                 "the layer " + layer.diff_id.short_hex() + " is not in the store");
  return std::string(kLinks) + "/" + found->second.link;
}

Result<AppliedLayer> LayerStore::add(const LayerKey& layer, ByteSource& compressed,
                                     std::string_view media_type, const LowerLayers& lowers,
                                     const ApplyOptions& options) {
  const std::string what = "layer " + layer.diff_id.short_hex();
  TRY(sweep());
  const UniqueFd layers = TRY(sys::open(dir_, O_RDONLY | O_DIRECTORY));
  const UniqueFd staging =
      TRY(sys::openat(layers.get(), kStaging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  const UniqueFd links =
      TRY(sys::openat(layers.get(), kLinks, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));

  // One process applies, others wait for it and find the layer done (or its failure, and try
  // themselves).
  const std::string name = chain_name(layer);
  std::optional<UniqueFd> work;
  while (!work) {
    if (auto found = find(dir_, layer, map_, map_id_)) return std::move(found->second.layer);
    if (options.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    TRY(sys::mkdirat(staging.get(), name, 0700));
    work = TRY(lock_dir(staging.get(), name, /*wait=*/true));
  }
  if (auto found = find(dir_, layer, map_, map_id_)) {
    TRY(remove_tree(staging.get(), name));
    return std::move(found->second.layer);
  }

  auto apply = [&]() -> Result<AppliedLayer> {
    TRY(remove_content(work->get()));  // of a crash
    TRY(sys::mkdirat(work->get(), kTree, 0755));
    const UniqueFd tree = TRY(sys::openat(work->get(), kTree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::fchmod(tree.get(), 0755) != 0)
      return Error::from_errno(errno, "chmod the layer's root");  // whatever the umask
    AppliedLayer done =
        TRY(apply_layer_overlay(compressed, media_type, tree.get(), lowers, options));
    if (done.diff_id != layer.diff_id)
      return Error(Errc::corrupt, "its content is " + done.diff_id.str() +
                                      ", but the image promises " + layer.diff_id.str());
    if (options.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    if (::syncfs(tree.get()) != 0) return Error::from_errno(errno, "sync the layer");

    const std::string folder = done.used_lowers ? chain_name(layer) : alone_name(layer);
    const Digest& key = done.used_lowers ? layer.chain_id : layer.diff_id;
    const std::string link = TRY(make_link(links.get(), folder, key));
    const Record record{done, std::string(map_name(map_)), map_id_, link};
    TRY(write_file_atomic(work->get(), kRecord, to_text(record), 0600, Durability::synced));
    while (::renameat(staging.get(), name.c_str(), layers.get(), folder.c_str()) != 0) {
      if (errno != ENOTEMPTY && errno != EEXIST) return Error::from_errno(errno, "commit");
      // Another image brought it first, with other layers below: theirs may be in use already.
      if (find(dir_, layer, map_, map_id_)) {
        TRY(remove_tree(staging.get(), name));
        return done;
      }
      // Damaged, or of another id map.
      TRY(discard(layers.get(), staging.get(), folder));
    }
    TRY(sync_dir(links.get()));
    TRY(sync_dir(layers.get()));
    return done;
  };
  auto done = apply();
  if (!done) {
    (void)remove_tree(staging.get(), name);  // the first error is the one to tell
    return std::move(done).context(what);
  }
  return done;
}

Result<std::vector<LayerStore::Entry>> LayerStore::list() const {
  std::vector<Entry> entries;
  const UniqueFd layers = TRY(sys::open(dir_, O_RDONLY | O_DIRECTORY));
  TRY(list_dir(layers.get(), [&](const std::string& name, unsigned char /*type*/) -> Result<void> {
    const auto diff_id = Digest::parse("sha256:" + name.substr(0, kIdDigits));
    if (!diff_id || (name.size() != kIdDigits && name.size() != 2 * kIdDigits + 1)) return {};
    Entry entry{*diff_id};
    if (const auto record = read_record(dir_ + "/" + name)) {
      entry.bytes = record->layer.bytes;
      entry.entries = record->layer.entries;
      entry.usable = record->layer.diff_id == *diff_id && record->map == map_name(map_) &&
                     record->map_id == map_id_;
    }
    entries.push_back(std::move(entry));
    return {};
  }));
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.diff_id < b.diff_id; });
  return entries;
}

Result<void> LayerStore::remove(const Digest& diff_id) {
  const UniqueFd layers = TRY(sys::open(dir_, O_RDONLY | O_DIRECTORY));
  const UniqueFd staging =
      TRY(sys::openat(layers.get(), kStaging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::vector<std::string> names;
  TRY(list_dir(layers.get(), [&](const std::string& name, unsigned char /*type*/) -> Result<void> {
    if (name == diff_id.hex() || name.starts_with(diff_id.hex() + ".")) names.push_back(name);
    return {};
  }));
  for (const std::string& name : names) {
    const auto record = read_record(dir_ + "/" + name);
    TRY(discard(layers.get(), staging.get(), name)
            .context("remove the layer " + diff_id.short_hex()));
    if (record && !record->link.empty() && record->link.find('/') == std::string::npos) {
      const UniqueFd links =
          TRY(sys::openat(layers.get(), kLinks, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      ::unlinkat(links.get(), record->link.c_str(), 0);
    }
  }
  return {};
}

Result<void> LayerStore::sweep() {
  const UniqueFd layers = TRY(sys::open(dir_, O_RDONLY | O_DIRECTORY));
  const UniqueFd staging =
      TRY(sys::openat(layers.get(), kStaging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::vector<std::string> left;
  TRY(list_dir(staging.get(),
               [&left](const std::string& name, unsigned char /*type*/) -> Result<void> {
                 left.push_back(name);
                 return {};
               }));
  for (const std::string& name : left) {
    const auto lock = TRY(lock_dir(staging.get(), name, /*wait=*/false));
    if (lock)
      TRY(remove_tree(staging.get(), name).context("remove what a crash left in the store"));
  }
  return {};
}

}  // namespace locald::oci
