#pragma once
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/paths.h"
#include "base/result.h"
#include "builder/environment.h"
#include "server/networks/cni_job.h"

namespace locald::server {

/// The places of one project's services in networks of CNI plugins: what plugins have been asked to
/// make, until they have deleted it. It is recorded (Paths::cni()) before they are called, so that
/// the next server knows what to delete. One thread at a time; all but all() and take() blocks.
class CniPlaces {
 public:
  struct Deps {
    builder::Environment& environment;
    CniSettings settings;
    std::function<void(const std::string& text)> log;  ///< on any thread
  };
  CniPlaces(Deps deps, const Paths& paths, const std::string& project);

  /// Reads what an earlier server has recorded. Once.
  void load();
  const std::vector<CniPlace>& all() const { return places_; }
  const CniPlace* find(const std::string& service, std::uint32_t network) const;
  /// Those that an earlier server made for services in these namespaces continue.
  void take(const std::map<std::string, std::shared_ptr<const UniqueFd>>& namespaces);

  /// Connects `places`. @return how each went; of one that failed nothing is left.
  Result<std::vector<Result<void>>> add(int sandbox, std::vector<CniPlace> places,
                                        const std::stop_token& stop);
  /// Whether the plugins find the service's places as they were made.
  Result<void> check(int sandbox, const std::string& service, const std::stop_token& stop);
  /// Deletes those for which `which` says so. What plugins say to it is logged.
  /// @param sandbox  -1: it is gone
  Result<void> remove(int sandbox, const std::function<bool(const CniPlace&)>& which,
                      const std::stop_token& stop);
  /// All of them, and what plugins have kept.
  void end(int sandbox);

 private:
  Result<void> save() const;
  Result<std::vector<Result<void>>> call(const char* command, int sandbox,
                                         std::vector<CniPlace*> places,
                                         const std::stop_token& stop) const;

  Deps deps_;
  std::string folder_, project_;
  bool loaded_ = false;
  std::vector<CniPlace> places_;
};

/// Projects that have such a record.
std::set<std::string> cni_projects(const Paths& paths);

}  // namespace locald::server
