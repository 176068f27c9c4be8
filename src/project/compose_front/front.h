#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "project/compose/report.h"
#include "project/project_file.h"

/// What the parts of the front share: where values stand, what is refused, what is said in the end.
namespace locald::project::compose {

class Front {
 public:
  Front(const Node& model, const ComposeOptions& options, Report& report, ProjectSpec& spec);

  const Node& model;
  const ComposeOptions& options;
  Report& report;
  ProjectSpec& spec;

  SourcePos at(const Node& value);
  SourcePos key_at(const Node& value);
  /// The value as a text in which nothing more is replaced.
  Text text(const Node& value) { return literal_text(scalar_text(value), at(value)); }
  Text text(std::string_view text, const Node& from) { return literal_text(text, at(from)); }

  /// `name` is what its user may have left out (--allow-unsupported). @return whether that is so;
  /// else it is a problem at `at` (at its key, for a member), once for each of the model's values.
  bool refuse(const Node& at, const std::string& path, std::string_view name, std::string_view why,
              std::string hint = {});
  /// `key` is accepted, and does nothing.
  void idle(std::string_view key, std::string_view why);
  /// A port that is published on loopback though the file names no address.
  void on_loopback(const std::string& port);

  /// What was refused, idle and so on, a sentence each.
  std::vector<std::string> notices() const;

 private:
  SourcePos placed(const Node& value, SourcePos pos);
  std::string shown(const Node& at) const;

  std::map<std::string, unsigned> files_;  // path -> SourcePos::file
  struct Idle {
    std::string key, why;
    int times = 0;
  };
  std::vector<Idle> idle_;
  std::vector<std::string> left_out_, on_loopback_;
  std::set<const Node*> refused_;  ///< what was told, or left out
};

/// Whether the value asks for something: not for what is so anyway (false, 0, empty).
bool says_something(const Node& value);

/// Looks at every key of the model by key_effects.h.
void judge_keys(Front& front);

/// The members of `networks` in `model`, as tables of the project.
void read_networks(Front& front);
/// `networks`, `network_mode` and `links` of a service. Links of all services name others.
void read_service_network(Front& front, const Node& service, ServiceSpec& out);
void read_ports(Front& front, const Node& service, ServiceSpec& out);
void read_links(Front& front);

void read_volumes(Front& front, const Node& service, ServiceSpec& out);
void read_service(Front& front, const std::string& name, const Node& service);

}  // namespace locald::project::compose
