#include "cli/log_printer.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/json/json.h"
#include "base/strings.h"
#include "base/sys/sys.h"
#include "cli/print.h"

namespace locald::cli {
namespace {

constexpr std::size_t kBlock = 64u << 10;  // bytes that are written at once

}  // namespace

LogPrinter::LogPrinter(Options options)
    : options_(std::move(options)), cut_(options_.names.size()) {
  make_prefixes();
}

void LogPrinter::add(const std::string& name) {
  options_.names.push_back(name);
  cut_.push_back(false);
  make_prefixes();
}

void LogPrinter::make_prefixes() {
  const bool colour = has_colour(STDOUT_FILENO);
  std::size_t width = 0;
  for (const std::string& name : options_.names) width = std::max(width, name.size());
  prefixes_.clear();
  for (std::size_t i = 0; i < options_.names.size(); ++i) {
    const std::string& name = options_.names[i];
    const std::string padded = name + std::string(width - name.size(), ' ') + " |";
    prefixes_.push_back(paint(service_colour(i), padded, colour) + " ");
  }
}

void LogPrinter::append(std::string& text, const LogLine& line) {
  if (options_.json) {
    const bool note = line.stream == LogStream::note;
    Json object = Json::object({{"service", options_.names[line.source]},
                                {"time", timestamp(line.time_ns)},
                                {"stream", note                            ? "locald"
                                           : line.stream == LogStream::err ? "stderr"
                                                                           : "stdout"},
                                {"line", to_utf8(line.text)},
                                {"instance", line.instance}});
    if (line.cut) object.set("continues", true);
    text += object.dump() + "\n";
    return;
  }
  if (!cut_[line.source]) {
    if (options_.prefix) text += prefixes_[line.source];
    if (options_.timestamps) text += timestamp(line.time_ns) + " ";
  }
  text += line.text;
  if (!line.cut) text += '\n';
  cut_[line.source] = line.cut;
}

std::string LogPrinter::format(const LogLine& line) {
  std::string text;
  append(text, line);
  return text;
}

/// The last lines of each source, in the order in which they came.
Result<void> LogPrinter::keep_last(LogReader& reader, std::string& text) {
  std::vector<std::deque<std::pair<std::uint64_t, std::string>>> kept(options_.names.size());
  std::uint64_t number = 0;
  LogLine line;
  while (TRY(reader.next(line))) {
    if (options_.takes && !options_.takes(line)) continue;
    auto& lines = kept[line.source];
    lines.emplace_back(number++, format(line));
    if (lines.size() > *options_.last) lines.pop_front();
  }
  std::map<std::uint64_t, std::string> in_order;
  for (auto& lines : kept)
    for (auto& [at, formatted] : lines) in_order.emplace(at, std::move(formatted));
  for (const auto& [at, formatted] : in_order) text += formatted;
  options_.last.reset();
  return {};
}

Result<bool> LogPrinter::print_available(LogReader& reader) {
  std::string block;
  LogLine line;
  if (options_.last) TRY(keep_last(reader, block));
  while (TRY(reader.next(line))) {
    if (options_.takes && !options_.takes(line)) continue;
    append(block, line);
    if (block.size() < kBlock) continue;
    if (!out(block)) return false;
    block.clear();
  }
  return block.empty() || out(block);
}

}  // namespace locald::cli
