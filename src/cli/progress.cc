#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>

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
  if (phase == "resolve") return "resolving";
  if (phase == "pull") return "pulling";
  if (phase == "extract") return "unpacking";
  if (phase == "wait") return "waiting for";
  if (phase == "stage") return "copying the source";
  if (phase == "analyze") return "analyzing";
  if (phase == "detect") return "detecting";
  if (phase == "restore") return "restoring";
  if (phase == "build") return "building";
  if (phase == "export") return "exporting";
  if (phase == "commit") return "storing the result";
  if (phase == "write") return "writing";
  if (phase == "push") return "pushing";
  if (phase == "volume" || phase == "look" || phase == "layer done" || phase == "finished")
    return "";
  return phase;
}

std::string state_text(const ipc::ServiceStatus& service, bool with_reason) {
  const std::string& state = service.state;
  std::string text = state;
  if (state == "running" && !service.health.empty() && service.health != "none")
    text += " (" + service.health + ")";
  // A reason says it in whole words. While it runs code and signal are of the start before.
  if (const std::string reason = service.reason.value_or(""); with_reason && !reason.empty()) {
    if (reason.starts_with(state + " ")) return reason;  // "exited with code 1"
    if (state == "exited" && reason.starts_with("was ended by ")) return reason.substr(4);
    return text + ": " + reason;
  }
  if (state != "exited" && state != "failed" && state != "crash-loop") return text;
  if (service.signal)
    text += " by " + *service.signal;
  else if (service.exit_code)
    text += " " + std::to_string(*service.exit_code);
  return text;
}

std::string state_text(const ipc::ContainerStatus& container) {
  ipc::ServiceStatus same;
  same.state = container.state;
  same.exit_code = container.exit_code;
  same.signal = container.signal;
  same.reason = container.reason;
  return state_text(same);
}

Progress::Progress() : terminal_(is_terminal(STDERR_FILENO)), colour_(has_colour(STDERR_FILENO)) {}

Progress::~Progress() { finish(); }

Progress::Row& Progress::row(const std::string& name) {
  const auto [it, added] = rows_.try_emplace(name);
  if (added) order_.push_back(name);
  return it->second;
}

void Progress::plain(const std::string& name, Row& row, const std::string& line) {
  if (terminal_ || line.empty() || !row.said.insert(line).second) return;
  err((name.empty() ? "" : name + ": ") + line + "\n");
}

Progress::Amount Progress::sum(const Row& row, Amount Item::*part) {
  Amount all;
  for (const auto& [name, item] : row.items) {
    const Amount& amount = item.*part;
    all.total += amount.total;
    all.done += item.done ? amount.total : amount.done;
  }
  return all;
}

bool Progress::is_build(const std::string& phase) {
  for (const char* known :
       {"wait", "stage", "analyze", "detect", "restore", "build", "export", "commit", "built"})
    if (phase == known) return true;
  return false;
}

/// What the row's layers are at: fetching as long as one is, then unpacking.
std::string Progress::work(const Row& row) {
  if (row.phase == "waiting" && !row.step.empty()) return row.step;
  if (is_build(row.phase)) return phase_text(row.phase) + (row.step.empty() ? "" : " " + row.step);
  const Amount fetched = sum(row, &Item::fetched), applied = sum(row, &Item::applied);
  const bool goes_out = row.phase == "push" || row.phase == "write";
  if (fetched.done < fetched.total) return goes_out ? phase_text(row.phase) : "pulling";
  if (applied.total > 0) return "unpacking";
  return phase_text(row.phase);
}

/// @return true for what is to be seen at once: anything but a number on its way.
bool Progress::progress(const ipc::ProgressEvent& event) {
  const std::string& name = event.service;
  Row& r = row(name);
  const std::string before = work(r);
  r.phase = event.phase;
  r.step.clear();
  if (is_build(r.phase) || r.phase == "waiting") {
    r.step = event.item;
    if (r.phase != "waiting") r.items.clear();
    plain(name, r, work(r));
    return work(r) != before;
  }
  // What follows a blank is a remark ("3f2a… second attempt").
  Item& item = r.items[event.item.substr(0, event.item.find(' '))];
  const Amount amount{event.done, event.total};
  if (r.phase == "pull" || r.phase == "push" || r.phase == "write") item.fetched = amount;
  if (r.phase == "extract") item.applied = amount;
  if (r.phase == "layer done") item.done = true;
  const bool whole = item.done || (amount.total > 0 && amount.done == amount.total);
  if (r.phase == "finished") r.items.clear();
  plain(name, r, work(r));
  return whole || work(r) != before;
}

void Progress::state(const ipc::ServiceStatus& service) {
  Row& r = row(service.name);
  r.state = service.state;
  r.health = service.health;
  r.detail = state_text(service);
  r.detail.resize(std::min(r.detail.size(), r.detail.find('\n')));
  if (r.state == "running" && service.url) r.detail += "  " + *service.url;
  // A service whose app is being rebuilt keeps running.
  if (r.state != "preparing" && !(r.state == "running" && is_build(r.phase))) {
    r.phase.clear();
    r.items.clear();
  }
  if (std::exchange(r.last, r.detail) != r.detail && !terminal_)
    err(service.name + ": " + r.detail + "\n");  // a state may come again: after a restart
  r.said.clear();
}

void Progress::event(const Json& event) {
  bool now = true;
  if (const auto progressed = ipc::event_as<ipc::ProgressEvent>(event)) {
    now = progress(*progressed);
  } else if (const auto changed = ipc::event_as<ipc::StateEvent>(event)) {
    state(changed->service);
  } else if (const auto notice = ipc::event_as<ipc::NoticeEvent>(event)) {
    clear();  // what is drawn stands below it again
    err((notice->service.empty() ? "" : notice->service + ": ") + notice->text + "\n");
  }
  draw(now);
}

std::string Progress::text(const std::string& name, const Row& r, std::size_t width) const {
  std::string line =
      name.empty() ? ""
                   : paint(Colour::bold, name, colour_) + std::string(width - name.size() + 2, ' ');
  if (r.phase.empty())
    return line +
           paint(state_colour(r.state, r.health), r.detail.empty() ? r.state : r.detail, colour_);
  const std::string what = work(r);
  if (what.empty()) return line;
  line += paint(Colour::yellow, what, colour_);
  const Amount amount = sum(r, what == "unpacking" ? &Item::applied : &Item::fetched);
  if (amount.total > 0 && !r.items.empty())
    line += "  " + bar(amount.done, amount.total, 24) + "  " + human_bytes(amount.done) + " of " +
            human_bytes(amount.total);
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
  std::size_t lines = 0;
  for (const std::string& name : order_) {
    const std::string line = text(name, rows_[name], width);
    if (line.empty()) continue;
    block += cut_to(line, columns) + "\x1b[K\n";
    ++lines;
  }
  const std::string up = drawn_ == 0 ? "" : "\x1b[" + std::to_string(drawn_) + "A";
  if (lines < drawn_) block += "\x1b[J";
  err(up + block);
  drawn_ = lines;
}

void Progress::finish() {
  // A pull by itself leaves nothing: its result is what the verb prints.
  if (rows_.contains(""))
    clear();
  else if (!order_.empty())
    draw(/*now=*/true);
  drawn_ = 0;
  order_.clear();
  rows_.clear();
}

}  // namespace locald::cli
