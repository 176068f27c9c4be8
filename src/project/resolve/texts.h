#pragma once
#include <cstddef>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/sys/path_judge.h"
#include "net/endpoint.h"
#include "project/project_spec.h"
#include "project/resolve/interpolation.h"
#include "project/resolve/late_text.h"
#include "project/resolve/resolve.h"
#include "project/resolve/variables.h"
#include "project/service_config.h"

namespace locald::project {

/// The texts of one project's services with everything put in: `${VAR}`, `${services.…}`. Bounded:
/// each value by kMaxValue, all of a service by kMaxServiceText. What is wrong is collected once
/// for a place; what follows from a text without a value is not counted.
class Texts {
 public:
  explicit Texts(const ResolveInput& input);
  Texts(const Texts&) = delete;  // the lookups refer to it
  Texts& operator=(const Texts&) = delete;

  /// From now on texts are this service's.
  void begin(const ServiceSpec& spec);
  /// From now on they belong to the tables [networks.NAME].
  void begin_networks();
  /// Bytes that its values may still take; 0 after they were too many.
  std::size_t& room() { return room_; }

  enum class Use { plain, command };
  /// The text with everything replaced; "" after a problem.
  std::string text(const Text& t, Use use = Use::plain);
  /// The same of one that is resolved once more at each start (late_text.h).
  std::string text(const Text& t, Use use, LateText::Place place, std::string key,
                   ServiceConfig& out);
  /// The words of a command, with the shell that it wants.
  std::vector<std::string> command(const ServiceSpec& service, const CommandSpec& spec,
                                   LateText::Place place, ServiceConfig& out);

  void problem(SourcePos at, const Error& error);
  /// That neither the file nor an image tells where the service listens.
  Error no_port(const std::string& service) const;
  bool failed(SourcePos at) const { return failed_.contains({at.file, at.line, at.column}); }
  Problems& problems() { return problems_; }

  /// Where a service of the project is reached by the one at work, as far as its file tells: on
  /// loopback, or, between those in the project's networks, by its name.
  /// @return Errc::invalid_input: it is not reached, and why.
  Result<net::Endpoint> endpoint(const std::string& service) const;
  /// The port of the host's loopback that leads to it; 0: none.
  int published(const std::string& service) const;
  /// `path` is relative to the project's folder; "" is that folder.
  std::string in_project(const std::string& path) const;

  const ResolveInput& in() const { return in_; }
  PathJudge& judge() { return judge_; }
  Variables& variables() { return variables_; }
  const Lookup& lookup() const { return lookup_; }

 private:
  Error no_room();
  Result<net::Endpoint> endpoint_of(const ServiceSpec& target) const;
  void not_set(const Text& t, Use use);

  const ResolveInput& in_;
  PathJudge judge_;
  Variables variables_;
  Lookup lookup_;
  std::vector<LateText::Piece>* late_ = nullptr;  // where references of the present text go
  const ServiceSpec* spec_ = nullptr;             // the one at work; null: none
  std::string scope_;                             // its name
  std::size_t room_ = 0;                          // bytes that its values may still take
  std::vector<std::string> unset_;                // of the text at work
  std::set<std::tuple<unsigned, unsigned, unsigned>> failed_;  // places of texts without a value
  Problems problems_;
};

}  // namespace locald::project
