#pragma once
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/network.h"
#include "runtime/container_bundle.h"

namespace locald::builder {

/// What `prepare` is doing, for people ("pull redis:7") and for bars.
struct PrepareProgress {
  std::string phase;        ///< "resolve", "pull", "extract", "build", …
  std::string item;         ///< a layer's short digest, a buildpack …; may be empty
  std::uint64_t done = 0;   ///< bytes, or steps
  std::uint64_t total = 0;  ///< 0: unknown
};

struct PrepareContext {
  std::function<void(const PrepareProgress&)>
      progress;  ///< called on the thread that prepares; may be empty
  std::function<void(const std::string& text)>
      notice;            ///< what the user should hear; on the same thread; may be empty
  std::stop_token stop;  ///< asks to give up: Errc::cancelled, nothing half-done
  std::vector<std::string> login_files =
      {};  ///< the user's, for registries (oci/registry/login_file.h)
  /// Where of the options' network only the kind is known yet, the rest is being made beside: waits
  /// for it. Called once at most, as late as may be, on the thread that prepares.
  std::function<Result<net::Attachment>()> connect = {};
};

/// Produces a bundle from something: an image (ImageSource), an app built with buildpacks
/// (cnb/cnb_source.h). Which one is made of what a service asks for: server/launch/container_source.h.
///
/// `prepare` is plain blocking code and runs on a job's thread. It may be called
/// again, for the next start of the same service; then what is there already is
/// used (no network, no extraction).
class BundleSource {
 public:
  virtual ~BundleSource() = default;

  /// Makes the bundle in the folder `destination`, which must not exist yet.
  /// On error nothing is left there.
  virtual Result<runtime::ContainerBundle> prepare(const std::string& destination,
                                                   const PrepareContext& context) = 0;

  /// What identifies the content that a start would run (a manifest digest, a
  /// generation), for "did it change?"; empty while unknown.
  virtual std::string fingerprint() const = 0;
};

}  // namespace locald::builder
