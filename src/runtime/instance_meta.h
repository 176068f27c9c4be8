#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/json/fields.h"

namespace locald::runtime {

/// What a server writes of an instance for its successor (InstanceSpec::meta): whose it is. A
/// member that a kind does not have is not written.
struct InstanceMeta {
  enum class Kind : std::uint8_t {
    unknown,    ///< nothing is written, or it is damaged
    service,    ///< a project's
    exec,       ///< `exec` into a service
    container,  ///< `container run`
    build,      ///< a phase of a build
  };
  Kind kind = Kind::unknown;

  std::string project, service;  ///< service, exec
  std::uint64_t life = 0;        ///< service: counts its starts
  int restarts = 0;              ///< service: as status shows them
  std::string configuration;     ///< service: which one it was started with; "": not written down

  std::string name, image;            ///< container; `name` may be empty
  bool rm = false;                    ///< container: it goes with its end
  std::vector<std::string> writable;  ///< container: folders of the host that it can write to
  std::string network;                ///< container: as --network; "": the host's
  std::string range;                  ///< container: addresses of a network of its own
  std::vector<std::string> ports;     ///< container: as -p, with those that were chosen

  std::string app;  ///< build: whose

  /// The members that are not at their default; which kind it is of is told by them, and by
  /// "exec" and "container". Earlier versions, from 0.1.0 on, read it.
  std::string to_text() const;
  /// Tolerant: what is missing has its default, what is not known is left out. Never fails: what
  /// cannot be read is `unknown`.
  static InstanceMeta from_text(const std::string& text);

  static const Fields& fields();
  friend bool operator==(const InstanceMeta&, const InstanceMeta&) = default;
};

}  // namespace locald::runtime
