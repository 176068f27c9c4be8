#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "ipc/messages/service.h"

/// What people read. Data goes to stdout, everything else to stderr.
namespace locald::cli {

/// Writes to stdout / stderr whole. @return false where it did not get there: nobody reads any
/// more, or the write failed, which check_output() tells.
bool out(std::string_view text);
bool err(std::string_view text);
/// The same for either, by its number.
bool write_to(int fd, std::string_view text);

/// What `--json` prints. @return the exit code.
int print_json(const Json& json);

/// Whether all that was written so far got to its place. Only that nobody reads (a pipe, socket or
/// terminal that is gone) is no error. Each failure is told once. main() asks at the end of all.
Result<void> check_output();

/// "error: MESSAGE" and "hint: …" on stderr.
void print_error(const Error& error);
void notice(const std::string& text);  ///< "locald: TEXT" on stderr

/// True where `fd` is a terminal that shows colours: NO_COLOR is empty, TERM not "dumb".
bool has_colour(int fd);
bool is_terminal(int fd);
int terminal_width(int fd);  ///< columns; 80 where it is unknown
/// Columns that `fd` has: a terminal's (at least 20), else as many as one likes.
std::size_t columns_at(int fd);
std::size_t output_width();  ///< columns_at() stdout

enum class Colour { none, red, green, yellow, blue, magenta, cyan, dim, bold };
/// `text` in a colour, or as it is where `on` is false.
std::string paint(Colour colour, std::string_view text, bool on);
/// The colour of the n-th service's log prefix.
Colour service_colour(std::size_t n);
/// "running" is green, "failed" red …
Colour state_colour(std::string_view state, std::string_view health);

/// Columns under headings (none: no line of them), two blanks apart; escape sequences take no room.
std::string table(const std::vector<std::string>& headings,
                  const std::vector<std::vector<std::string>>& rows);

/// `text` in lines of at most `width` columns, those after the first indented; broken at blanks
/// where there are any. Its own newlines stay. Ends with one.
std::string wrapped(std::string_view text, std::size_t width, std::size_t indent);

std::string duration_text(std::int64_t seconds);  ///< "3s", "5m", "2h13m", "4d"
std::string timestamp(std::uint64_t time_ns);     ///< RFC 3339, UTC, microseconds
std::uint64_t now_ns();                           ///< CLOCK_REALTIME
/// Columns that `text` takes: UTF-8 code points, escape sequences left out.
std::size_t columns_of(std::string_view text);
/// `text` with each control character but newlines as "\x1b": what a file holds tells a terminal
/// nothing.
std::string harmless(std::string_view text);
/// The first `columns` columns of `text`, escape sequences kept.
std::string cut_to(std::string_view text, std::size_t columns);

/// Where a port is published: "127.0.0.1:8080", "[::]:53/udp".
std::string place_text(const ipc::ServicePort& port);
/// "8080->80" of loopback, "0.0.0.0:8080->80/udp" of another address.
std::string port_text(const ipc::ServicePort& port);

}  // namespace locald::cli
