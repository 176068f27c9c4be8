#include "project/compose_front/effects_page.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "project/compose_front/key_effects.h"

namespace locald::project::compose {
namespace {

constexpr std::size_t kWidth = 100;

/// "services.*.deploy.mode" without its section: "deploy.mode".
std::string name_of(std::string_view path) {
  const std::size_t star = path.find("*.");
  return std::string(star == std::string_view::npos ? path : path.substr(star + 2));
}

std::string section_of(std::string_view path) {
  const std::size_t star = path.find(".*.");
  return std::string(star == std::string_view::npos ? "" : path.substr(0, star));
}

/// The keys of one section that have `effect`, as a list of words.
std::string keys_of(const std::string& section, Effect effect) {
  std::string out, line;
  for (const KeyEffect& each : key_effects()) {
    if (each.effect != effect || section_of(each.path) != section) continue;
    const std::string word = fmt::format("`{}`", name_of(each.path));
    if (line.size() + word.size() + 2 > kWidth) {
      out += line + "\n";
      line.clear();
    } else if (!line.empty()) {
      line += ' ';
    }
    line += word + ",";
  }
  out += line;
  if (!out.empty()) out.back() = '.';
  return out;
}

std::string reasons_of(Effect effect) {
  std::string out;
  for (const KeyEffect& each : key_effects()) {
    if (each.effect != effect) continue;
    const std::string section = section_of(each.path);
    out += fmt::format("| {}`{}` | {} |\n", section == "services" ? "" : section + ": ",
                       name_of(each.path), each.why);
  }
  return out;
}

}  // namespace

std::string effects_page() {
  std::string out = "Done as Compose does it, or with an effect that one machine could not show:\n";
  for (const char* section : {"", "services", "networks", "volumes"}) {
    const std::string title = *section == '\0' ? "At the top" : fmt::format("Of `{}`", section);
    out += fmt::format("\n{}:\n{}\n", title, keys_of(section, Effect::acts));
    if (const std::string silent = keys_of(section, Effect::silent); !silent.empty())
      out += fmt::format("\nWithout effect, as nothing follows from them here:\n{}\n", silent);
  }
  out += "\nAccepted without effect, and told so:\n\n| key | what is so instead |\n|---|---|\n" +
         reasons_of(Effect::idle);
  out += "\nRefused, where they ask for something:\n\n| key | why |\n|---|---|\n" +
         reasons_of(Effect::refused);
  return out;
}

}  // namespace locald::project::compose
