#include "project/compose/env_files.h"

#include <fmt/format.h>

#include <optional>

#include "base/strings.h"
#include "project/compose/interpolate.h"
#include "project/compose/table_builder.h"
#include "project/resolve/dotenv.h"

namespace locald::project::compose {
namespace {

constexpr std::size_t kRoomOfAll = 64u << 20;  // bytes of the files of all services

std::optional<std::string> find(const Environment& in, const std::string& name) {
  const auto found = in.find(name);
  return found == in.end() ? std::nullopt : std::optional(found->second);
}

/// Reads one file into `values`, where later lines replace earlier ones.
void parse(const std::string& text, const std::string& path, const FindVariable& first,
           Environment& values, std::size_t& room, Report& report) {
  const FindVariable otherwise = [&](const std::string& name) { return find(values, name); };
  for (DotenvEntry& entry :
       parse_dotenv(text, path, first, report.problems, &room, otherwise, {&substitute, true})) {
    for (const std::string& name : entry.vanished)
      report.notice(TextProblem{
          path,
          {entry.line, 1},
          fmt::format("the variable {} is not set: nothing stands for it", shortened(name, 60)),
          ""});
    if (entry.value) values[entry.name] = std::move(*entry.value);
  }
}

void parse_raw(const std::string& text, Environment& values) {
  for (const std::string& line : split(text, '\n')) {
    const std::string_view content = line.ends_with('\r')
                                         ? std::string_view(line).substr(0, line.size() - 1)
                                         : std::string_view(line);
    const std::size_t equals = content.find('=');
    if (content.empty() || content[0] == '#' || equals == std::string_view::npos) continue;
    values[std::string(content.substr(0, equals))] = content.substr(equals + 1);
  }
}

class ServiceFiles {
 public:
  ServiceFiles(const Environment& environment, const FileAccess& access, Report& report)
      : environment_(environment), access_(access), report_(report) {}

  void read(const std::string& name, Node& service) {
    const Node files = service["env_file"];
    const Node own = service["environment"];
    const FindVariable first = [&](const std::string& variable) -> std::optional<std::string> {
      if (auto value = find(environment_, variable)) return value;
      const Node& value = own[variable];
      return value.is_string() ? std::optional(value.as_string()) : std::nullopt;
    };
    Environment values;
    for (const Node& file : files.as_array()) {
      const auto text = content(file["path"], file["required"].as_bool(true), name, "env_file");
      if (!text) continue;
      const std::string& format = file["format"].as_string();
      if (format.empty())
        parse(*text, file["path"].as_string(), first, values, room_, report_);
      else if (format == "raw")
        take_raw(*text, file, values);
      else
        report_.problem(file["format"],
                        fmt::format("`services.{}.env_file`: unknown format \"{}\"", name,
                                    shortened(format, 60)),
                        "raw, or none");
    }
    if (!values.empty()) service.set("environment", joined(values, own, files));
  }

  void read_labels(const std::string& name, Node& service) {
    const Node files = service["label_file"];
    Environment values, earlier;
    const FindVariable first = [&](const std::string& label) { return find(earlier, label); };
    for (const Node& file : files.as_array()) {
      earlier = values;
      if (const auto text = content(file, true, name, "label_file"))
        parse(*text, file.as_string(), first, values, room_, report_);
    }
    if (!values.empty()) service.set("labels", joined(values, service["labels"], files));
  }

 private:
  void take_raw(const std::string& text, const Node& file, Environment& values) {
    if (text.size() > room_)
      return report_.problem(
          file,
          fmt::format("the env files of all services have more than {} MiB", kRoomOfAll >> 20));
    room_ -= text.size();
    parse_raw(text, values);
  }

  std::optional<std::string> content(const Node& path, bool required, const std::string& service,
                                     const char* key) {
    if (access_.kind(path.as_string()) == PathKind::none) {
      if (required)
        report_.problem(
            path,
            fmt::format("`services.{}.{}`: {} does not exist", service, key, path.as_string()),
            std::string_view(key) == "env_file"
                ? "create it, or write `path` with `required: false`"
                : "create it");
      return std::nullopt;
    }
    auto text = access_.read(path.as_string());
    if (text) return std::move(*text);
    report_.problem(path, fmt::format("services.{}.{}", service, key), text.error());
    return std::nullopt;
  }

  /// `values`, and what `own` says in front of them.
  static Node joined(const Environment& values, const Node& own, const Node& from) {
    TableBuilder all;
    for (const auto& [key, value] : values) {
      Node text(value);
      text.place_as(from);
      all.set(key, std::move(text));
    }
    for (const auto& [key, value] : own.as_table()) all.set(key, value);
    Node out = std::move(all).take();
    out.place_as(own.is_nothing() ? from : own);
    return out;
  }

  const Environment& environment_;
  const FileAccess& access_;
  Report& report_;
  std::size_t room_ = kRoomOfAll;
};

}  // namespace

void read_env_files(const std::vector<std::string>& files, const FileAccess& access,
                    Environment& environment, Report& report) {
  Environment values;
  std::size_t room = kMaxServiceText;
  const FindVariable first = [&](const std::string& name) { return find(environment, name); };
  for (const std::string& file : files) {
    const auto text = access.read(file);
    if (text)
      parse(*text, file, first, values, room, report);
    else
      report.problems.push_back({file, {}, text.error().message(), text.error().hint()});
  }
  environment.merge(values);
}

void read_service_files(Node& model, const Environment& environment, const FileAccess& access,
                        Report& report) {
  Node* const services = model.find("services");
  if (services == nullptr || !services->is_table()) return;
  ServiceFiles files(environment, access, report);
  for (auto& [name, service] : *services->members()) {
    files.read(name, service);
    files.read_labels(name, service);
  }
}

}  // namespace locald::project::compose
