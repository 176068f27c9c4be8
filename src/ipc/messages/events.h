#pragma once
#include <cstdint>

#include "ipc/messages/service.h"

/// Events of a stream, before its end. encode() writes them, "event" included; event_as() reads
/// one, and passes over what a server of another build has more.
namespace locald::ipc {

/// @return nullopt where it is of another kind, or not as this build knows it.
template <class E>
std::optional<E> event_as(const Json& event) {
  if (event["event"].as_string() != E().event) return std::nullopt;
  auto read = decode<E>(event, Reading::tolerant);
  return read ? std::optional(std::move(*read)) : std::nullopt;
}

/// How far work has come: "pull" of a layer, "build" of an app.
struct ProgressEvent {
  std::string event = "progress";
  std::string service;  ///< empty: of none
  std::string phase, item;
  std::uint64_t done = 0, total = 0;  ///< bytes, mostly; a total of 0: not known
  static const Fields& fields();
};

/// A sentence for people.
struct NoticeEvent {
  std::string event = "notice";
  std::string service;  ///< empty: of none
  std::string text;
  static const Fields& fields();
};

/// A service has changed.
struct StateEvent {
  std::string event = "state";
  ServiceStatus service;
  static const Fields& fields();
};

}  // namespace locald::ipc
