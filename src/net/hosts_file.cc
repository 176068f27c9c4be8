#include "net/hosts_file.h"

#include <cstddef>
#include <string_view>

#include "base/strings.h"
#include "net/endpoint.h"

namespace locald::net {

std::string hosts_text(const std::string& host_file, const std::string& hostname,
                       const std::map<std::string, std::vector<std::string>>& names) {
  std::map<std::string, std::vector<std::string>> ours = names;
  if (!hostname.empty()) ours.try_emplace(hostname, std::vector<std::string>{kLoopback});
  ours.erase("localhost");
  std::string text;
  bool localhost = false;
  for (const std::string& line : split(host_file, '\n')) {
    const std::string_view content = trim(std::string_view(line).substr(0, line.find('#')));
    if (content.empty()) continue;
    std::string kept, word;
    std::size_t words = 0;
    for (std::size_t i = 0; i <= content.size(); ++i) {
      if (i < content.size() && content[i] != ' ' && content[i] != '\t') {
        word += content[i];
        continue;
      }
      if (word.empty()) continue;
      // The first name found is the one that counts, so the host's must not stand before ours.
      if (words == 0 || !ours.contains(to_lower(word))) {
        kept += (words == 0 ? "" : words == 1 ? "\t" : " ") + word;
        localhost = localhost || (words > 0 && word == "localhost");
        ++words;
      }
      word.clear();
    }
    if (words > 1) text += kept + "\n";
  }
  if (!localhost)
    text.insert(0, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
  for (const auto& [name, addresses] : ours)
    for (const std::string& address : addresses) text += address + "\t" + name + "\n";
  return text;
}

}  // namespace locald::net
