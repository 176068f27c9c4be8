#pragma once
#include <cstdint>

#include "ipc/messages/common.h"

/// Events of a stream, before its end. encode() writes them, "event" included.
namespace locald::ipc {

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
  Json service;  ///< as in `status`
  static const Fields& fields();
};

}  // namespace locald::ipc
