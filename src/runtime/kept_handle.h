#pragma once
#include <functional>
#include <string>

#include "base/result.h"
#include "runtime/service_handle.h"

namespace locald::runtime {

/// A handle of something that outlives its server: it may live and not be spoken to, and what is
/// written of it may be deleted. Loop thread only.
class KeptHandle : public ServiceHandle {
 public:
  /// Why it cannot be spoken to though it lives, for people; empty: it can.
  virtual std::string trouble() const = 0;
  /// Called when trouble() says something else; for one who listens.
  std::function<void()> on_trouble;

  virtual std::string kind() const = 0;  ///< "host", "container", "exec"
  /// Makes its folder, what is in it, and the copy in the state folder again, where somebody has
  /// deleted that.
  virtual Result<void> write_back() = 0;
};

/// The same for whatever handle; those of tests are never in trouble.
inline KeptHandle* kept(ServiceHandle* handle) { return dynamic_cast<KeptHandle*>(handle); }
inline std::string trouble_of(ServiceHandle* handle) {
  const KeptHandle* k = kept(handle);
  return k != nullptr ? k->trouble() : std::string();
}
inline Result<void> write_back(ServiceHandle* handle) {
  KeptHandle* k = kept(handle);
  return k != nullptr ? k->write_back() : Result<void>();
}

}  // namespace locald::runtime
