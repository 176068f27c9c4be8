#include "cnb/build/build_log.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace locald::cnb {
namespace {

constexpr std::size_t kTailLines = 20;
constexpr std::size_t kMaxOutput = 4096;  // bytes of what a buildpack says in detection
constexpr std::size_t kMaxLine = 500;     // bytes of a line in the tail
// What a buildpack prints may look like the lifecycle's own words, without end.
constexpr std::size_t kMaxBuildpacks = 1000;
constexpr std::string_view kBar = "======== ";

constexpr std::size_t kMaxText = 64u << 10;  // bytes of a line that are looked at

constexpr std::array<std::string_view, 22> kChatter = {"Running build for buildpack ",
                                                       "Finished running build for buildpack ",
                                                       "Starting ",
                                                       "Parsing inputs...",
                                                       "Ensuring privileges...",
                                                       "Executing command...",
                                                       "Timer: ",
                                                       "Looking up buildpack",
                                                       "Finding plan",
                                                       "Creating plan directory",
                                                       "Preparing paths",
                                                       "Running build command",
                                                       "Processing layers",
                                                       "Updating environment",
                                                       "Reading output files",
                                                       "Updating buildpack processes",
                                                       "Updating process list",
                                                       "Copying SBOM files",
                                                       "Creating SBOM files",
                                                       "Listing processes",
                                                       "No system buildpacks found",
                                                       "Checking for match against descriptor"};
// Of the phases in which no buildpack has a say.
constexpr std::array<std::string_view, 20> kOwnChatter = {
    "Adding ",
    "Added ",
    "Copying SBOM ",
    "Found SBOM ",
    "Found image ",
    "Layer '",
    "Layer sha: ",
    "No project metadata found",
    "Prepending ",
    "Processing buildpack directory",
    "Processing launch layer",
    "Reading ",
    "Restoring ",
    "Retrieving data for ",
    "Run image info in analyzed metadata is: ",
    "Reused ",
    "Reusing ",
    "Setting ",
    "Using app image: ",
    "Warning: Platform requested experimental feature"};

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= ' ' && c != '\x7f' && c > 0) || c == '\t'; });
}

/// The end of the escape sequence that begins at `at`.
std::size_t after_escape(std::string_view text, std::size_t at) {
  const char kind = at + 1 < text.size() ? text[at + 1] : '\0';
  std::size_t i = at + 2;
  if (kind == '[') {
    while (i < text.size() && text[i] >= ' ' && text[i] <= '?') ++i;
    return i + 1;
  }
  if (kind == ']') {
    while (i < text.size() && text[i] != '\a' && text[i] != '\x1b') ++i;
    return i + (i < text.size() && text[i] == '\x1b' ? 2 : 1);
  }
  return i;
}

/// A line as a terminal would show it in the end: what a buildpack writes goes into messages and
/// JSON, so no colours, no other controls, no bytes that are not text.
std::string plain(std::string_view text) {
  text = text.substr(0, kMaxText);
  while (text.ends_with('\r')) text.remove_suffix(1);
  text.remove_prefix(text.rfind('\r') + 1);  // progress bars; npos + 1 is 0
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '\x1b') {
      i = after_escape(text, i);
      continue;
    }
    const auto c = static_cast<unsigned char>(text[i++]);
    if ((c >= 0x20 && c != 0x7f) || c == '\t') out += static_cast<char>(c);
  }
  return to_utf8(out);
}

/// What stands between `before` and `after`; "" where the text has another form.
std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
  if (!text.starts_with(before) || !text.ends_with(after) ||
      text.size() < before.size() + after.size())
    return {};
  return text.substr(before.size(), text.size() - before.size() - after.size());
}

}  // namespace

void BuildLog::begin(Phase phase) {
  phase_ = phase;
  reading_ = Reading::nothing;
  tail_.clear();
  running_.clear();
  at_work_.clear();
}

void BuildLog::line(std::uint64_t time_ns, std::string_view raw) {
  std::string changed;
  std::string_view text = raw.substr(0, kMaxText);
  if (!is_plain(text)) text = changed = plain(text);
  if (phase_ == Phase::detect) detect_line(text);
  if (phase_ == Phase::build) build_line(time_ns, text);
  keep(text);
}

void BuildLog::keep(std::string_view text) {
  for (const std::string_view chatter : kChatter)
    if (text.starts_with(chatter)) return;
  if (phase_ == Phase::analyze || phase_ == Phase::restore || phase_ == Phase::export_)
    for (const std::string_view chatter : kOwnChatter)
      if (text.starts_with(chatter)) return;
  if (trim(text).empty()) return;
  tail_.push_back(text.size() > kMaxLine ? to_utf8(text.substr(0, kMaxLine)) + "…"
                                         : std::string(text));
  if (tail_.size() > kTailLines) tail_.pop_front();
}

void BuildLog::build_line(std::uint64_t time_ns, std::string_view text) {
  constexpr std::string_view begins = "Running build for buildpack ";
  constexpr std::string_view ended = "Finished running build for buildpack ";
  if (text.starts_with(begins)) {
    running_ = at_work_ = text.substr(begins.size());
    running_since_ns_ = time_ns;
    tail_.clear();
    if (on_buildpack_ && buildpacks_.size() < kMaxBuildpacks) on_buildpack_(running_);
  } else if (text.starts_with(ended) || (text.starts_with("ERROR: ") && !running_.empty())) {
    end_buildpack(time_ns);
  }
}

void BuildLog::end_buildpack(std::uint64_t time_ns) {
  const std::uint64_t ns = time_ns > running_since_ns_ ? time_ns - running_since_ns_ : 0;
  if (buildpacks_.size() < kMaxBuildpacks)
    buildpacks_.emplace_back(running_, static_cast<std::int64_t>(ns / 1'000'000));
  running_.clear();
}

BuildLog::Detected* BuildLog::find(std::string_view buildpack) {
  for (Detected& row : detected_)
    if (row.group == group_ && row.buildpack == buildpack) return &row;
  return nullptr;
}

void BuildLog::detect_line(std::string_view text) {
  if (text.starts_with(kBar)) {
    reading_ = Reading::nothing;
    for (const std::string_view kind : {"Output: ", "Error: "})
      if (const auto name = between(text.substr(kBar.size()), kind, " ========"); !name.empty()) {
        if (outputs_.size() == kMaxBuildpacks && !outputs_.contains(name)) return;
        // Said once more for every group that it is in: the last time counts.
        reading_ = Reading::output;
        output_of_ = name;
        if (kind == "Output: ") outputs_[output_of_].clear();
      }
    if (text == "======== Results ========") {
      reading_ = Reading::results;
      ++group_;
    }
    return;
  }
  if (reading_ == Reading::output) {
    std::string& output = outputs_[output_of_];
    if (output.size() + text.size() < kMaxOutput) output.append(text).append("\n");
    return;
  }
  if (reading_ != Reading::results) return;
  const std::size_t colon = text.find(": ");
  const std::string_view result = text.substr(0, colon == std::string_view::npos ? 0 : colon);
  if (result != "pass" && result != "fail" && result != "skip" && result != "err") return;
  const std::string_view rest = trim(text.substr(colon + 2));
  const std::string_view buildpack = rest.substr(0, rest.find(' '));
  const std::string_view note = trim(rest.substr(buildpack.size()));
  if (buildpack.find('@') == std::string_view::npos) return;  // "fail: no viable buildpacks …"
  Detected* row = find(buildpack);
  if (row == nullptr) {
    if (detected_.size() == kMaxBuildpacks) return;
    detected_.push_back({.group = group_, .buildpack = std::string(buildpack)});
    row = &detected_.back();
    if (const auto said = outputs_.find(buildpack); said != outputs_.end())
      row->output = trim(said->second);
  }
  // "fail: x@1 requires y" comes after "pass: x@1": the plan of its group could not be resolved.
  row->result = result;
  if (!note.empty()) row->note = note.starts_with('(') ? "exit code " + std::string(note) : note;
}

std::string BuildLog::detect_table() const {
  if (detected_.empty()) return {};
  std::size_t width = 9;
  for (const Detected& row : detected_) width = std::max(width, row.buildpack.size());
  const auto padded = [](std::string text, std::size_t columns) {
    text.resize(std::max(columns, text.size()), ' ');
    return text;
  };
  std::string table = "group  " + padded("buildpack", width) + "  result  what it said";
  for (const Detected& row : detected_) {
    std::string said = row.note;
    for (const std::string& output : split(row.output, '\n'))
      if (!trim(output).empty()) said += (said.empty() ? "" : "; ") + std::string(trim(output));
    if (said.size() > 200) said = said.substr(0, 200) + "…";
    table += "\n" + padded(std::to_string(row.group), 5) + "  " + padded(row.buildpack, width) +
             "  " + (said.empty() ? row.result : padded(row.result, 6) + "  " + said);
  }
  return table;
}

Json BuildLog::detected_json() const {
  Json::Array rows;
  for (const Detected& row : detected_)
    rows.push_back(Json::object({{"group", row.group},
                                 {"buildpack", row.buildpack},
                                 {"result", row.result},
                                 {"note", row.note},
                                 {"output", row.output}}));
  return Json(std::move(rows));
}

}  // namespace locald::cnb
