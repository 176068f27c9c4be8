// How a proposal is written down.
#include "project/init/service_text.h"

#include <fmt/format.h>

#include <cstddef>

#include "base/strings.h"

namespace locald::project::init {
namespace {

constexpr std::size_t kColumns = 100;

/// A basic string of TOML 1.0.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else if (byte < 0x20 || byte == 0x7F)
      out += fmt::format("\\u{:04X}", byte);
    else
      out += c;
  }
  return out + "\"";
}

std::string list(const std::vector<std::string>& texts) {
  std::vector<std::string> words;
  for (const std::string& text : texts) words.push_back(quoted(text));
  return "[" + join(words, ", ") + "]";
}

/// A shell's words as a locald.toml has them: `${` and `$$` are its own there.
std::string escaped(const std::string& command) {
  std::string out;
  for (std::size_t i = 0; i < command.size(); ++i) {
    out += command[i];
    if (command[i] == '$' && i + 1 < command.size() &&
        (command[i + 1] == '{' || command[i + 1] == '$')) {
      out += '$';
      if (command[i + 1] == '$') {
        out += "$$";
        ++i;
      }
    }
  }
  return out;
}

/// Comment lines, broken at blanks.
std::string comment(const std::string& text) {
  std::string out, line = "#";
  for (const std::string& word : split(text, ' ')) {
    if (line.size() + 1 + word.size() > kColumns && line != "#") {
      out += line + "\n";
      line = "#";
    }
    line += " " + word;
  }
  return out + line + "\n";
}

std::string environment(const ServiceText& service) {
  std::vector<std::string> pairs;
  for (const auto& [name, value] : service.env) pairs.push_back(name + " = " + quoted(value));
  if (pairs.empty()) return {};
  const std::string line = "env = { " + join(pairs, ", ") + " }\n";
  // An inline table has one line, in TOML 1.0; the other form ends the service's own keys.
  if (line.size() <= kColumns) return line;
  return fmt::format("\n[services.{}.env]\n{}\n", service.name, join(pairs, "\n"));
}

std::string health(const ServiceText& service) {
  if (service.check.empty())
    return service.once || !(service.listens || service.port != 0) ? ""
                                                                   : "health = { tcp = true }\n";
  return "health = { exec = " + list(service.check) +
         (service.start_period.empty() ? "" : ", start_period = " + quoted(service.start_period)) +
         " }\n";
}

std::string table(const ServiceText& service) {
  std::string out = service.from.empty() ? "" : comment(service.from);
  out += fmt::format("[services.{}]\n", service.name);
  const auto key = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out += fmt::format("{} = {}\n", name, quoted(value));
  };
  if (service.is_app) out += "type = \"cnb\"\n";
  key("image", service.image);
  key("path", service.path);
  key("builder", service.builder);
  key("command", escaped(service.command));
  key("workdir", service.workdir);
  if (service.listens)
    out += "port = \"auto\"\n";
  else if (service.port != 0)
    out += fmt::format("port = {}\n", service.port);
  if (service.container_port != 0)
    out += fmt::format("container_port = {}\n", service.container_port);
  if (service.once) out += "once = true\n";
  key("env_file", service.env_file);
  if (!service.depends_on.empty()) out += "depends_on = " + list(service.depends_on) + "\n";
  if (!service.volume.empty()) out += "volumes = " + list({service.volume}) + "\n";
  out += health(service);
  return out + environment(service);
}

}  // namespace

std::string file_text(const std::string& project, const std::vector<std::string>& files,
                      const std::vector<std::string>& notes,
                      const std::vector<ServiceText>& services) {
  std::string out = comment("Proposed by `locald init`, from " + join(files, ", ") + ".");
  out += comment(
      "`port = \"auto\"` is a free port, which a process finds as PORT; `locald status` has "
      "the URLs.");
  for (const std::string& note : notes) out += "#\n" + comment(note);
  out += fmt::format("\n[project]\nname = {}\n", quoted(project));
  for (const ServiceText& service : services) out += "\n" + table(service);
  return out;
}

}  // namespace locald::project::init
