#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "cnb/lifecycle/exit_codes.h"

namespace locald::cnb {

/// Reads along with what the phases write at log level "debug", and makes of it what
/// people want to know: which buildpack runs now and how long each took, what each said in
/// detection, the last words before a failure. The lifecycle has no log for programs (CNB RFC 131
/// is not there yet), so this reads its text; what it does not know is passed over. Pure.
class BuildLog {
 public:
  /// @param on_buildpack  Called when a buildpack's bin/build begins ("id@version").
  explicit BuildLog(std::function<void(const std::string&)> on_buildpack = {})
      : on_buildpack_(std::move(on_buildpack)) {}

  void begin(Phase phase);
  void line(std::uint64_t time_ns, std::string_view text);

  /// Of those that have ended, or failed: "id@version" and milliseconds, in order.
  const std::vector<std::pair<std::string, std::int64_t>>& buildpacks() const noexcept {
    return buildpacks_;
  }

  /// What one buildpack came to in one group of the order.
  struct Detected {
    int group = 0;          ///< counts from 1
    std::string buildpack;  ///< "id@version"
    std::string result;     ///< "pass", "fail", "skip" (failed, but optional) or "err"
    std::string note;       ///< its exit code, or which part of the build plan was not met
    std::string output;     ///< what it wrote; may be empty
  };
  const std::vector<Detected>& detected() const noexcept { return detected_; }
  /// As columns for people, a line each; "" when nothing was detected.
  std::string detect_table() const;
  Json detected_json() const;

  /// The buildpack whose bin/build runs now, or failed last ("id@version"); "" for none.
  const std::string& at_work() const noexcept { return at_work_; }

  /// The last lines of the present phase: of the buildpack that runs, where one does. The
  /// lifecycle's own chatter is left out, and what would not be text on a terminal.
  std::vector<std::string> tail() const { return {tail_.begin(), tail_.end()}; }

 private:
  void detect_line(std::string_view text);
  void build_line(std::uint64_t time_ns, std::string_view text);
  void keep(std::string_view text);
  void end_buildpack(std::uint64_t time_ns);
  Detected* find(std::string_view buildpack);

  std::function<void(const std::string&)> on_buildpack_;
  Phase phase_ = Phase::analyze;
  std::vector<std::pair<std::string, std::int64_t>> buildpacks_;
  std::string running_, at_work_;
  std::uint64_t running_since_ns_ = 0;

  enum class Reading { nothing, output, results };
  Reading reading_ = Reading::nothing;
  std::string output_of_;
  std::map<std::string, std::string, std::less<>> outputs_;
  std::vector<Detected> detected_;
  int group_ = 0;
  std::deque<std::string> tail_;
};

}  // namespace locald::cnb
