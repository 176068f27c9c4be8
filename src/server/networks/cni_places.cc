#include "server/networks/cni_places.h"

#include <sys/stat.h>

#include <utility>

#include "base/sys/fs_at.h"
#include "server/state/state_file.h"

namespace locald::server {
namespace {

constexpr int kPlacesFormat = 1;
constexpr const char *kPlacesFile = "/places.json", *kPlaces = "places";
/// Of the plugins, below the project's folder.
constexpr const char* kKept = "/kept";

std::uint64_t inode_of(const UniqueFd& file) {
  struct stat st {};
  return ::fstat(file.get(), &st) == 0 ? st.st_ino : 0;
}

std::string key_of(const CniPlace& place) {
  return place.service + " " + std::to_string(place.number) + " " + place.container;
}

}  // namespace

CniPlaces::CniPlaces(Deps deps, const Paths& paths, const std::string& project)
    : deps_(std::move(deps)), folder_(paths.cni(project)), project_(project) {}

void CniPlaces::load() {
  if (std::exchange(loaded_, true) || !exists(folder_)) return;
  std::string notice;
  const auto file = load_state_file(folder_ + kPlacesFile, kPlacesFormat, kPlaces, notice);
  if (!file) notice = file.error().text();
  if (!notice.empty()) deps_.log("network of " + project_ + ": " + notice);
  if (!file) return;
  for (const auto& [key, json] : (*file)[kPlaces].as_object()) {
    auto place = decode<CniPlace>(json, Reading::tolerant);
    if (place)
      places_.push_back(std::move(*place));
    else
      deps_.log("network of " + project_ + ": " + place.error().text());
  }
}

const CniPlace* CniPlaces::find(const std::string& service, std::uint32_t network) const {
  for (const CniPlace& place : places_)
    if (place.service == service && place.number == network) return &place;
  return nullptr;
}

void CniPlaces::take(const std::map<std::string, std::shared_ptr<const UniqueFd>>& namespaces) {
  for (CniPlace& place : places_) {
    const auto netns = namespaces.find(place.service);
    if (place.netns == nullptr && netns != namespaces.end() && place.connected() &&
        inode_of(*netns->second) == place.netns_inode)
      place.netns = netns->second;
  }
}

Result<void> CniPlaces::save() const {
  Json places = Json::object();
  for (const CniPlace& place : places_) places.set(key_of(place), encode(place));
  (void)TRY(make_dirs(folder_));
  return write_file_atomic(
      folder_ + kPlacesFile,
      Json::object({{"format", kPlacesFormat}, {kPlaces, std::move(places)}}).dump());
}

Result<std::vector<Result<void>>> CniPlaces::call(const char* command, int sandbox,
                                                  std::vector<CniPlace*> places,
                                                  const std::stop_token& stop) const {
  return call_plugins(deps_.environment, deps_.settings, command, sandbox, folder_ + kKept,
                      std::move(places), stop);
}

Result<std::vector<Result<void>>> CniPlaces::add(int sandbox, std::vector<CniPlace> places,
                                                 const std::stop_token& stop) {
  const std::size_t first = places_.size();
  for (CniPlace& place : places) {
    if (place.netns != nullptr) place.netns_inode = inode_of(*place.netns);
    places_.push_back(std::move(place));
  }
  TRY(save());
  std::vector<CniPlace*> wanted;
  for (std::size_t i = first; i < places_.size(); ++i) wanted.push_back(&places_[i]);
  // Without an answer they stay in the record, and are deleted by remove().
  auto done = TRY(call("add", sandbox, wanted, stop));
  std::size_t number = 0;
  std::vector<CniPlace> kept(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(first));
  for (std::size_t i = first; i < places_.size(); ++i)
    if (done[number++]) kept.push_back(std::move(places_[i]));
  places_ = std::move(kept);
  TRY(save());
  return done;
}

Result<void> CniPlaces::check(int sandbox, const std::string& service,
                              const std::stop_token& stop) {
  std::vector<CniPlace*> wanted;
  for (CniPlace& place : places_)
    if (place.service == service && place.connected()) wanted.push_back(&place);
  if (wanted.empty()) return {};
  for (auto& each : TRY(call("check", sandbox, wanted, stop))) TRY(std::move(each));
  return {};
}

Result<void> CniPlaces::remove(int sandbox, const std::function<bool(const CniPlace&)>& which,
                               const std::stop_token& stop) {
  std::vector<CniPlace*> wanted;
  for (CniPlace& place : places_)
    if (which(place)) wanted.push_back(&place);
  if (wanted.empty()) return {};
  const auto done = TRY(call("delete", sandbox, wanted, stop));
  for (std::size_t i = 0; i < done.size(); ++i)
    if (!done[i])
      deps_.log("network of " + project_ + ": " + wanted[i]->service + " in network " +
                wanted[i]->network + ": " + done[i].error().text());
  std::set<std::string> deleted;
  for (const CniPlace* place : wanted) deleted.insert(place->container);
  std::erase_if(places_, [&](const CniPlace& place) { return deleted.contains(place.container); });
  return save();
}

void CniPlaces::end(int sandbox) {
  load();
  if (!exists(folder_)) return;
  if (auto removed = remove(sandbox, [](const CniPlace&) { return true; }, {}); !removed)
    deps_.log("network of " + project_ + ": " + removed.error().text());
  places_.clear();
  (void)remove_tree(folder_);
}

std::set<std::string> cni_projects(const Paths& paths) {
  std::set<std::string> out;
  for (std::string& name : names_in(paths.cni_records())) out.insert(std::move(name));
  return out;
}

}  // namespace locald::server
