#pragma once
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

namespace locald::net {

/// What one probe says of a service. One that could not be made (no descriptor or process was to be
/// had for it) says nothing: our own trouble is not a failure of the service.
struct Verdict {
  enum class Kind : std::uint8_t { healthy, failed, unknown };
  Kind kind = Kind::healthy;
  std::string reason;    ///< failed: why; unknown: why there was no probe
  bool refused = false;  ///< failed: nobody listens there
  bool lasting =
      false;  ///< unknown: the next probe fares no better, until the service is restarted

  Verdict(const Result<void>& probed)  // NOLINT(google-explicit-constructor)
      : kind(probed ? Kind::healthy : Kind::failed),
        reason(probed ? std::string() : probed.error().message()),
        refused(!probed && probed.error().sys_errno() == ECONNREFUSED) {}
  Verdict(const Error& why)  // NOLINT(google-explicit-constructor)
      : kind(Kind::failed), reason(why.message()), refused(why.sys_errno() == ECONNREFUSED) {}
  static Verdict unknown(const Error& why, bool lasting = false) {
    Verdict v{Result<void>()};
    v.kind = Kind::unknown;
    v.lasting = lasting;
    v.reason = "it could not be asked: " + why.message() + (lasting ? "; restart it" : "");
    return v;
  }
  explicit operator bool() const noexcept { return kind == Kind::healthy; }
};

}  // namespace locald::net
