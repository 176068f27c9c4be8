#include "cli/print.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "base/sys/sys.h"
#include "base/units.h"

namespace locald::cli {

namespace {

std::optional<Error> lost;  // the first failure that was not told yet

bool nobody_reads(int fd, int error) {
  if (error == EPIPE || error == ECONNRESET) return true;
  struct stat st {};
  // What a terminal that was hung up answers.
  return error == EIO && ::fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

void note_failure(int fd, int error) {
  if (lost || nobody_reads(fd, error)) return;
  lost = Error::from_errno(error, fd == STDERR_FILENO ? "write to stderr" : "write to stdout")
             .with_hint(error == ENOSPC || error == EDQUOT
                            ? "the output is incomplete: free some space there, then run it "
                              "again"
                            : "the output is incomplete");
}

}  // namespace

bool write_to(int fd, std::string_view text) {
  const auto written = sys::write_all(fd, text);
  if (!written) note_failure(fd, written.error().sys_errno());
  return written.has_value();
}

bool out(std::string_view text) { return write_to(STDOUT_FILENO, text); }
bool err(std::string_view text) { return write_to(STDERR_FILENO, text); }

int print_json(const Json& json) { return out(json.dump(/*pretty=*/true) + "\n") ? 0 : 1; }

Result<void> check_output() {
  // Some file systems (NFS, quotas) tell of a failed write at close(2) alone; a copy's does.
  if (const int copy = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3); copy >= 0 && ::close(copy) != 0)
    note_failure(STDOUT_FILENO, errno);
  if (lost) return *std::exchange(lost, std::nullopt);
  return {};
}

void print_error(const Error& error) {
  const bool colour = has_colour(STDERR_FILENO);
  std::string text = paint(Colour::red, "error:", colour) + " " + error.message() + "\n";
  if (!error.hint().empty())
    text += paint(Colour::cyan, "hint:", colour) + " " + error.hint() + "\n";
  err(text);
}

void notice(const std::string& text) { err("locald: " + text + "\n"); }

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

bool has_colour(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_color == nullptr || *no_color == 0) &&
         (term == nullptr || std::string_view(term) != "dumb") && is_terminal(fd);
}

int terminal_width(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const auto number = columns != nullptr ? parse_u64(columns) : std::nullopt;
  return number && *number > 0 && *number < 10000 ? static_cast<int>(*number) : 80;
}

std::size_t columns_at(int fd) {
  return is_terminal(fd) ? static_cast<std::size_t>(std::max(terminal_width(fd), 20))
                         : std::numeric_limits<std::size_t>::max();
}

std::size_t output_width() { return columns_at(STDOUT_FILENO); }

std::string paint(Colour colour, std::string_view text, bool on) {
  if (!on || colour == Colour::none) return std::string(text);
  constexpr const char* kCodes[] = {"0", "31", "32", "33", "34", "35", "36", "2", "1"};
  return "\x1b[" + std::string(kCodes[static_cast<int>(colour)]) + "m" + std::string(text) +
         "\x1b[0m";
}

Colour service_colour(std::size_t n) {
  constexpr Colour kColours[] = {Colour::cyan, Colour::yellow, Colour::green, Colour::magenta,
                                 Colour::blue};
  return kColours[n % std::size(kColours)];
}

Colour state_colour(std::string_view state, std::string_view health) {
  if (state == "failed" || state == "crash-loop" || health == "unhealthy") return Colour::red;
  if (state == "running") return health == "starting" ? Colour::yellow : Colour::green;
  if (state == "stopped" || state == "exited") return Colour::dim;
  return Colour::yellow;
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      const auto end = text.find('m', i);
      i = end == std::string_view::npos ? text.size() : end;
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      ++columns;
    }
  }
  return columns;
}

std::string harmless(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // C1 controls are two bytes of UTF-8.
    const bool c1 =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c1) ++i;
    const auto code = c1 ? static_cast<unsigned char>(text[i]) : byte;
    if (c1 || (code < 0x20 && code != '\n') || code == 0x7f)
      out += "\\x" + to_hex(&code, 1);
    else
      out += text[i];
  }
  return out;
}

std::string cut_to(std::string_view text, std::size_t columns) {
  std::string cut;
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      const auto end = std::min(text.find('m', i), text.size() - 1);
      cut.append(text.substr(i, end - i + 1));
      i = end;
      continue;
    }
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (starts && used++ == columns)
      return cut.find('\x1b') == std::string::npos ? cut : cut + "\x1b[0m";
    cut += text[i];
  }
  return cut;
}

std::string table(const std::vector<std::string>& headings,
                  const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& heading : headings) widths.push_back(columns_of(heading));
  for (const auto& row : rows) widths.resize(std::max(widths.size(), row.size()));
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(row[i]));
  std::string text;
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - columns_of(row[i]) + 2, ' ');
    }
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  };
  if (!headings.empty()) print(headings);
  for (const auto& row : rows) print(row);
  return text;
}

std::string wrapped(std::string_view text, std::size_t width, std::size_t indent) {
  const std::string margin(indent, ' ');
  std::string out;
  bool first = true;
  for (const std::string& own : split(text, '\n')) {
    std::string line = first ? "" : margin;
    bool empty = true;  // but for the margin
    first = false;
    const auto flush = [&] {
      out += line + "\n";
      line = margin;
      empty = true;
    };
    for (std::string word : split(trim(own), ' ')) {
      if (!empty && columns_of(line) + 1 + columns_of(word) > width) flush();
      // One that is longer than a line is cut where the line ends.
      while (columns_of(line) + (empty ? 0 : 1) + columns_of(word) > width &&
             columns_of(line) < width) {
        const std::string part = cut_to(word, width - columns_of(line));
        if (part.empty()) break;
        line += part;
        word.erase(0, part.size());
        flush();
      }
      line += (empty ? "" : " ") + word;
      empty = false;
    }
    if (!empty) out += line + "\n";
  }
  return out;
}

std::string duration_text(std::int64_t s) {
  s = std::max<std::int64_t>(s, 0);
  if (s < 60) return std::to_string(s) + "s";
  if (s < 3600) return std::to_string(s / 60) + "m";
  if (s < 86400) return std::to_string(s / 3600) + "h" + std::to_string(s / 60 % 60) + "m";
  return std::to_string(s / 86400) + "d";
}

std::string timestamp(std::uint64_t time_ns) {
  using std::chrono::system_clock;
  const std::chrono::nanoseconds since(static_cast<std::int64_t>(time_ns));
  return time_text(
      system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(since)), 6);
}

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

namespace {

/// "127.0.0.1:8080", "[::1]:8080".
std::string address_text(const ipc::ServicePort& port) {
  const bool v6 = port.address.find(':') != std::string::npos;
  return (v6 ? "[" + port.address + "]" : port.address) + ":" + std::to_string(port.port);
}

std::string protocol_text(const ipc::ServicePort& port) {
  return port.protocol == "udp" ? "/udp" : "";
}

}  // namespace

std::string place_text(const ipc::ServicePort& port) {
  return address_text(port) + protocol_text(port);
}

std::string port_text(const ipc::ServicePort& port) {
  return (port.address == "127.0.0.1" ? std::to_string(port.port) : address_text(port)) + "->" +
         std::to_string(port.container_port) + protocol_text(port);
}

}  // namespace locald::cli
