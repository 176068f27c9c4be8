#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/strings.h"
#include "cli/print.h"

namespace locald::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{66};

std::string bar(std::uint64_t done, std::uint64_t total, std::size_t width) {
  const auto full =
      total == 0 ? 0
                 : static_cast<std::size_t>(std::min<std::uint64_t>(done * width / total, width));
  std::string text = "[";
  text.append(full, '#').append(width - full, '.');
  return text + "]";
}

}  // namespace

std::string phase_text(const std::string& phase) {
  if (phase == "pull" || phase == "download") return "pulling";
  if (phase == "apply" || phase == "extract" || phase == "unpack") return "unpacking";
  if (phase == "resolve") return "resolving";
  if (phase == "build") return "building";
  if (phase == "copy" || phase == "import") return "copying";
  return phase;
}

std::string state_text(const Json& service) {
  const std::string& state = service["state"].as_string();
  const std::string& health = service["health"].as_string();
  std::string text = state;
  if (state == "running" && !health.empty() && health != "none") text += " (" + health + ")";
  // A reason says it in whole words. While it runs code and signal are of the start before.
  if (const std::string& reason = service["reason"].as_string(); !reason.empty())
    return text + ": " + reason;
  if (state != "exited" && state != "failed" && state != "crash-loop") return text;
  const Json& signal = service["signal"];
  if (signal.is_int() && signal.as_int() != 0) {
    const char* name = ::sigabbrev_np(static_cast<int>(signal.as_int()));
    text += " by SIG" + (name != nullptr ? std::string(name) : std::to_string(signal.as_int()));
  } else if (!signal.as_string().empty()) {
    text += " by " + signal.as_string();
  } else if (service["exit_code"].is_int()) {
    text += " " + std::to_string(service["exit_code"].as_int());
  }
  return text;
}

Progress::Progress() : terminal_(is_terminal(STDERR_FILENO)), colour_(has_colour(STDERR_FILENO)) {}

Progress::~Progress() { finish(); }

Progress::Row& Progress::row(const std::string& name) {
  const auto [it, added] = rows_.try_emplace(name);
  if (added) order_.push_back(name);
  return it->second;
}

void Progress::plain(const std::string& name, Row& row, const std::string& line) {
  if (terminal_ || row.shown == line) return;
  row.shown = line;
  err((name.empty() ? "" : name + ": ") + line + "\n");
}

void Progress::progress(const Json& event) {
  const std::string name = event["service"].as_string();
  Row& r = row(name);
  const std::string phase = event["phase"].as_string();
  if (phase != r.phase) {
    r.phase = phase;
    r.items.clear();
  }
  r.items[event["item"].as_string()] = {static_cast<std::uint64_t>(event["done"].as_int()),
                                        static_cast<std::uint64_t>(event["total"].as_int())};
  plain(name, r, phase_text(phase));
}

void Progress::state(const Json& service) {
  const std::string name = service["name"].as_string();
  Row& r = row(name);
  r.state = service["state"].as_string();
  r.health = service["health"].as_string();
  r.detail = state_text(service);
  if (r.state == "running" && service["url"].is_string())
    r.detail += "  " + service["url"].as_string();
  if (r.state != "preparing") {
    r.phase.clear();
    r.items.clear();
  }
  plain(name, r, r.detail);
}

void Progress::event(const Json& event) {
  const std::string& kind = event["event"].as_string();
  if (kind == "progress") {
    progress(event);
  } else if (kind == "state") {
    state(event["service"]);
  } else if (kind == "notice") {
    clear();
    const std::string name = event["service"].as_string();
    err((name.empty() ? "" : name + ": ") + event["text"].as_string() + "\n");
  }
  draw(/*now=*/kind == "state");
}

std::string Progress::text(const std::string& name, const Row& r, std::size_t width) const {
  std::string line =
      name.empty() ? ""
                   : paint(Colour::bold, name, colour_) + std::string(width - name.size() + 2, ' ');
  if (r.phase.empty())
    return line +
           paint(state_colour(r.state, r.health), r.detail.empty() ? r.state : r.detail, colour_);
  Amount sum;
  for (const auto& [item, amount] : r.items) {
    sum.done += amount.done;
    sum.total += amount.total;
  }
  line += paint(Colour::yellow, phase_text(r.phase), colour_);
  if (sum.total > 0)
    line += "  " + bar(sum.done, sum.total, 24) + "  " + human_bytes(sum.done) + " of " +
            human_bytes(sum.total);
  else if (sum.done > 0)
    line += "  " + human_bytes(sum.done);
  return line;
}

void Progress::clear() {
  if (drawn_ == 0) return;
  err("\x1b[" + std::to_string(drawn_) + "A\x1b[J");
  drawn_ = 0;
}

void Progress::draw(bool now) {
  const auto time = std::chrono::steady_clock::now();
  if (!terminal_ || (!now && time - last_ < kRedraw)) return;
  last_ = time;
  const auto columns = static_cast<std::size_t>(std::max(terminal_width(STDERR_FILENO) - 1, 10));
  std::size_t width = 0;
  for (const std::string& name : order_) width = std::max(width, name.size());
  std::string block;
  for (const std::string& name : order_)
    block += cut_to(text(name, rows_[name], width), columns) + "\x1b[K\n";
  const std::string up = drawn_ == 0 ? "" : "\x1b[" + std::to_string(drawn_) + "A";
  err(up + block);
  drawn_ = order_.size();
}

void Progress::finish() {
  if (terminal_ && !order_.empty()) draw(/*now=*/true);
  drawn_ = 0;
  order_.clear();
  rows_.clear();
}

}  // namespace locald::cli
