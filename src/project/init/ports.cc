// Where processes listen, as far as commands and sources tell.
#include <cctype>

#include "base/strings.h"
#include "project/init/part.h"

namespace locald::project::init {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The port that `text` begins with, not as a part of a longer number; 0: none.
int leading_port(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  if (length < 2 || length > 5 || (length < text.size() && text[length] == '.')) return 0;
  const auto number = parse_u64(text.substr(0, length));
  return number && *number > 0 && *number <= 0xFFFF ? static_cast<int>(*number) : 0;
}

int port_behind(std::string_view text, std::string_view words) {
  for (std::size_t at = text.find(words); at != std::string_view::npos;
       at = text.find(words, at + 1)) {
    std::size_t begin = at + words.size();
    while (begin < text.size() && text[begin] == ' ') ++begin;
    if (const int port = leading_port(text.substr(begin)); port != 0) return port;
  }
  return 0;
}

}  // namespace

int port_in_command(std::string_view command) {
  for (const std::string_view words : {" -p ", " --port ", "--port=", " -p", ":"})
    if (const int port = port_behind(command, words); port != 0) return port;
  return 0;
}

int port_in_source(std::string_view text) {
  for (const std::string_view words :
       {".listen(", "\":", "localhost:", "0.0.0.0:", "port=", "port:", "PORT =", "port ="})
    if (const int port = port_behind(text, words); port != 0) return port;
  // Any other address of a literal: "…:3000".
  for (std::size_t at = text.find(':'); at != std::string_view::npos; at = text.find(':', at + 1))
    if (const int port = leading_port(text.substr(at + 1)); port >= 1024) {
      const std::size_t end = text.find_first_not_of("0123456789", at + 1);
      if (end != std::string_view::npos && text[end] == '"') return port;
    }
  return 0;
}

bool asks_for_port(std::string_view text) { return has_word(text, "PORT"); }

void find_port(const Place& place, const std::vector<std::string>& files, Process& process) {
  int port = 0;
  for (const std::string& file : files) {
    const auto text = place.read(file);
    if (!text) continue;
    if (asks_for_port(*text)) {
      process.listens = true;
      return;
    }
    if (port == 0) port = port_in_source(*text);
  }
  process.port = port;
}

bool has_word(std::string_view text, std::string_view word) {
  const auto inside = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  };
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !inside(text[at - 1])) && (end == text.size() || !inside(text[end])))
      return true;
  }
  return false;
}

}  // namespace locald::project::init
