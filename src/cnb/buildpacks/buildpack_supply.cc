#include "cnb/buildpacks/buildpack_supply.h"

#include <fcntl.h>

#include <mutex>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cnb/buildpacks/buildpack_job.h"
#include "cnb/buildpacks/buildpack_toml.h"
#include "cnb/buildpacks/download.h"
#include "cnb/source/path_filter.h"
#include "cnb/source/source_index.h"

namespace locald::cnb {
namespace {

using Entry = BuildpackStore::Entry;

constexpr int kTries = 5;

const PathFilter& folder_filter() {
  static const PathFilter filter = PathFilter().without({std::string(kNeverSentRepository)});
  return filter;
}

const ScanWords& folder_words() {
  static const ScanWords words{.what = "the buildpack's folder",
                               .way_out = "keep in that folder what is part of the buildpack"};
  return words;
}

/// What names a folder's content, as it is laid out in the store: of modes only who may execute.
std::string content_of(SourceIndex index) {
  for (SourceEntry& entry : index.entries)
    entry.mode = entry.kind == SourceEntry::Kind::folder || (entry.mode & 0111) != 0 ? 0755 : 0644;
  return index.digest().hex();
}

}  // namespace

template <class J>
Result<BuildpackResult> BuildpackSupply::run(J job, int file) {
  job.store = store_.dir();
  const auto progress = [this](const Json& now) {
    if (context_.progress)
      context_.progress({.phase = "pull",
                         .item = "buildpack",
                         .done = static_cast<std::uint64_t>(now["done"].as_int()),
                         .total = static_cast<std::uint64_t>(now["total"].as_int())});
  };
  return decode<BuildpackResult>(
      TRY(environment_.run(encode(job), progress, context_.stop, {}, file)));
}

Result<std::string> BuildpackSupply::id_map() {
  // All that matters of it: whose overlay attributes the trees have.
  return std::string(TRY(environment_.host()).id_map == runtime::IdMapKind::root ? "root"
                                                                                 : "subuid");
}

std::optional<Entry> BuildpackSupply::present(const std::string& key) const {
  auto entry = store_.find(key);
  if (entry) store_.touch(key);
  return entry;
}

Result<Entry> BuildpackSupply::made(const std::string& key) {
  auto entry = present(key);
  if (!entry) return Error(Errc::failed, "the buildpack was removed again from " + store_.dir());
  return std::move(*entry);
}

Result<Entry> BuildpackSupply::folder(const std::string& path) {
  const auto mutex = environment_.lock_for("cnb-buildpack/" + path);
  const std::lock_guard lock(*mutex);
  const std::string index_file = store_.index_file(path);
  TRY(make_dirs(store_.dir() + "/sources"));
  for (int tries = 1;; ++tries) {
    const auto known = SourceIndex::load(index_file);
    const JudgedPath source = TRY(environment_.judge().open(path, PathJudge::Use::look));
    const SourceIndex index = TRY(scan_source(source, folder_filter(), known ? &*known : nullptr,
                                              context_.stop, folder_words()));
    if (!index.skipped.empty())
      return Error(Errc::invalid_input, index.skipped[0] +
                                            " is a socket, a FIFO or a device, which no "
                                            "buildpack has");
    const bool as_known =
        known && index.read_bytes == 0 && index.entries.size() == known->entries.size();
    const std::string key = buildpack_key("folder", TRY(id_map()), content_of(index));
    auto entry = present(key);
    if (!entry || !as_known) TRY(index.save(index_file));
    if (entry) return std::move(*entry);
    if (context_.progress) context_.progress({.phase = "extract", .item = "buildpack " + path});
    const BuildpackResult done = TRY(
        run(BuildpackFolderJob{.key = key, .folder = path, .index = index_file}, source.fd.get()));
    if (done.changed.empty()) return made(key);
    if (tries == kTries)
      return Error(Errc::failed, "it keeps changing while it is copied: " + done.changed[0]);
  }
}

Result<Entry> BuildpackSupply::archive(const std::string& path) {
  const auto mutex = environment_.lock_for("cnb-buildpack/" + path);
  const std::lock_guard lock(*mutex);
  const JudgedPath file = TRY(environment_.judge().open(path, PathJudge::Use::look));
  if (!S_ISREG(file.st.st_mode))
    return Error(Errc::invalid_input, "it is neither a folder nor a file");
  const UniqueFd fd = TRY(file.reopen(O_RDONLY));
  const std::string stamp = file_stamp(fd.get()), map = TRY(id_map());
  const Json note = store_.note(path);
  if (!stamp.empty() && note["stamp"].as_string() == stamp && note["map"].as_string() == map)
    if (auto entry = present(note["key"].as_string())) return std::move(*entry);
  if (context_.progress) context_.progress({.phase = "extract", .item = "buildpack " + path});
  const BuildpackResult done = TRY(run(BuildpackArchiveJob{.path = path}, fd.get()));
  TRY(store_.write_note(path,
                        Json::object({{"stamp", done.stamp}, {"map", map}, {"key", done.key}})));
  return made(done.key);
}

Result<Entry> BuildpackSupply::remote(const oci::Url& url) {
  const std::string source = url.str();
  const auto mutex = environment_.lock_for("cnb-buildpack/" + source);
  const std::lock_guard lock(*mutex);
  const std::string map = TRY(id_map());
  const Json note = store_.note(source);
  std::optional<Entry> known;
  if (note["map"].as_string() == map) known = present(note["key"].as_string());
  if (known && policy_ != oci::PullPolicy::always) return std::move(*known);
  if (policy_ == oci::PullPolicy::never)
    return Error(Errc::not_found,
                 "it is not there, and pulling is switched off (pull = \"never\")");
  if (context_.progress) context_.progress({.phase = "pull", .item = without_query(url)});
  const BuildpackResult done =
      TRY(run(BuildpackUrlJob{.url = source, .etag = known ? note["etag"].as_string() : ""}));
  if (known && done.not_modified) return std::move(*known);
  TRY(store_.write_note(source,
                        Json::object({{"etag", done.etag}, {"map", map}, {"key", done.key}})));
  return made(done.key);
}

Result<Entry> BuildpackSupply::script(const std::string& id, const std::string& version,
                                      const InlineScript& script) {
  const ScriptFiles files =
      script_files(id, version.empty() ? "0.0.0" : version, script.api, script.shell, script.body);
  const Json text = Json::object({{"buildpack.toml", files.buildpack_toml},
                                  {"bin/detect", files.detect},
                                  {"bin/build", files.build}});
  const std::string key = buildpack_key("script", TRY(id_map()), text.dump());
  if (auto entry = present(key)) return std::move(*entry);
  TRY(run(BuildpackScriptJob{.key = key,
                             .files = {{"buildpack.toml", files.buildpack_toml},
                                       {"bin/detect", files.detect},
                                       {"bin/build", files.build}}}));
  return made(key);
}

Result<Entry> BuildpackSupply::hide(const std::vector<Module>& modules) {
  BuildpackHideJob job;
  Json pairs = Json::array();
  for (const Module& m : modules) {
    job.buildpacks.push_back({m.id, m.version});
    pairs.push(Json(job.buildpacks.back()));
  }
  job.key = buildpack_key("hide", TRY(id_map()), pairs.dump());
  if (auto entry = present(job.key)) return std::move(*entry);
  TRY(run(job));
  return made(job.key);
}

}  // namespace locald::cnb
