#include "cnb/store/app_store.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "base/json/fields.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "base/units.h"
#include "runtime/processes.h"

namespace locald::cnb {
namespace {

constexpr const char* kRecord = "/generation.json";
constexpr const char* kSynced = "synced";
constexpr std::size_t kMaxRecord = 64u << 20;

std::vector<std::uint64_t> numbers_in(const std::string& folder) {
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names_in(folder))
    if (const auto number = parse_u64(name)) numbers.push_back(*number);
  std::sort(numbers.rbegin(), numbers.rend());
  return numbers;
}

std::optional<Generation> read_generation(const std::string& folder) {
  const auto text = read_file(folder + kRecord, kMaxRecord);
  if (!text) return std::nullopt;
  // Keys of buildpacks' metadata may differ in case only.
  const auto json =
      Json::parse(*text, {.max_bytes = kMaxRecord, .reject_duplicates = false, .any_bytes = true});
  if (!json) return std::nullopt;
  auto generation = Generation::from_json(*json);
  if (!generation) return std::nullopt;
  return std::move(*generation);
}

}  // namespace

bool AppStore::counts(const Generation& g, std::string_view map_id) const {
  return g.map_id == map_id && (g.boot_id.empty() || g.boot_id == runtime::boot_id());
}

std::vector<Generation> AppStore::generations() const {
  std::vector<Generation> out;
  for (const std::uint64_t number : numbers_in(generations_folder()))
    if (auto found = read_generation(generation(number))) out.push_back(std::move(*found));
  return out;
}

std::optional<Generation> AppStore::current(std::string_view map_id) const {
  for (const std::uint64_t number : numbers_in(generations_folder()))
    if (auto found = read_generation(generation(number)); found && counts(*found, map_id))
      return found;
  return std::nullopt;
}

std::optional<Generation> AppStore::newest_hybrid(std::string_view map_id) const {
  for (const std::uint64_t number : numbers_in(generations_folder()))
    if (auto found = read_generation(generation(number));
        found && counts(*found, map_id) && !found->strict())
      return found;
  return std::nullopt;
}

std::uint64_t AppStore::next_number() const {
  const auto numbers = numbers_in(generations_folder());
  return numbers.empty() ? 1 : numbers.front() + 1;
}

Result<void> AppStore::commit(const Generation& g) const {
  return write_file_atomic(generation(g.number) + kRecord, g.to_json().dump())
      .context("commit the build");
}

Result<void> AppStore::mark_synced(std::uint64_t number) const {
  auto found = read_generation(generation(number));
  if (!found || found->boot_id.empty()) return {};
  found->boot_id.clear();
  return write_file_atomic(generation(number) + kRecord, found->to_json().dump(), 0600,
                           Durability::synced);
}

bool AppStore::spares_count() const {
  const std::string made = read_file(spare_boot(), 4096).value_or("");
  return made == kSynced || made == runtime::boot_id();
}

Result<void> AppStore::mark_spares(Durability durability) const {
  return write_file_atomic(spare_boot(),
                           durability == Durability::synced ? kSynced : runtime::boot_id(), 0600,
                           durability);
}

namespace {

/// app.json. An AppSpec has a table of its own.
struct RecordFile {
  int format = 1;
  Json spec;
  std::string last_used;

  static const Fields& fields() {
    using R = RecordFile;
    static const Fields table = FieldsOf<R>("app.json")
                                    .always("format", &R::format, "")
                                    .required("spec", &R::spec, "")
                                    .always("last_used", &R::last_used, "");
    return table;
  }
};

}  // namespace

std::optional<AppStore::Record> AppStore::record() const {
  const auto text = read_file(record_file());
  if (!text) return std::nullopt;
  const auto json = Json::parse(*text, {.any_bytes = true});  // the path
  if (!json) return std::nullopt;
  const auto read = decode<RecordFile>(*json, Reading::tolerant);
  if (!read) return std::nullopt;
  auto spec = AppSpec::from_json(read->spec);
  if (!spec) return std::nullopt;
  return Record{std::move(*spec), read->last_used};
}

Result<void> AppStore::touch(const AppSpec& spec) const {
  const std::string now = now_text();
  const auto before = record();
  // Both may hold secrets, and nobody reads them here.
  AppSpec kept = spec;
  kept.env.clear();
  kept.proxies.clear();
  if (before && before->spec == kept && before->last_used.substr(0, 16) == now.substr(0, 16))
    return {};
  TRY(make_dirs(dir_));
  const RecordFile record{.spec = kept.to_json(), .last_used = now};
  return write_file_atomic(record_file(), encode_text(record).str());
}

std::vector<std::string> AppStore::list(const Paths& paths) {
  std::vector<std::string> out;
  const auto dir = sys::open(paths.cnb(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return out;
  (void)list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    if (!name.starts_with('.')) out.push_back(name);
    return {};
  });
  std::sort(out.begin(), out.end());
  return out;
}

std::chrono::system_clock::time_point time_of(const std::string& text) {
  struct tm parts {};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return {};
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

}  // namespace locald::cnb
