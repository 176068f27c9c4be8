#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/ref/digest.h"
#include "oci/ref/reference.h"
#include "oci/registry/registry_session.h"
#include "oci/store/image_layout.h"
#include "oci/store/image_store.h"

namespace locald::oci {

struct PushProgress {
  enum class Phase : std::uint8_t {
    waiting,    ///< `note` says for what and how long
    uploading,  ///< done, total: bytes of `layer`
    blob_done,  ///< `layer` is there: uploaded, mounted, or there before; `note` says which
    finished,   ///< the name means the image
  };
  Phase phase = Phase::uploading;
  std::string layer;  ///< short digest; empty where none is meant
  std::uint64_t done = 0, total = 0;
  unsigned blobs_done = 0, blobs_total = 0;
  std::string note;
};
std::string_view to_string(PushProgress::Phase phase) noexcept;  ///< "uploading", …

struct PushOptions {
  std::stop_token stop;
  std::optional<Credentials> login;
  std::string login_hint;  ///< RegistrySession::Options
  /// Where, on the target's registry, a blob may be found too: repositories, to be mounted from.
  std::map<Digest, std::vector<std::string>> elsewhere;
  std::function<void(const PushProgress&)> progress;  ///< one at a time, from several threads
  unsigned parallel_blobs = 3;
  std::chrono::milliseconds stall{60'000};
  std::chrono::milliseconds first_pause{250};
  std::uint64_t chunk_bytes = 16u << 20;  ///< of an upload that broke and goes on
};

struct PushResult {
  unsigned uploaded = 0, mounted = 0, there_before = 0;  ///< blobs
  std::uint64_t uploaded_bytes = 0;
};

/// Puts an image of the store into a registry, as it is stored, byte for byte: blobs that the
/// registry lacks, up to three side by side, then the manifest under the target's tag. Nothing is
/// visible there before all is there.
///
/// A blob that another repository of the registry has is mounted, not sent. One is sent in one
/// request; where that breaks, it goes on in pieces from what the registry has got. Each is
/// verified on its way out: a damaged one is never published. What was uploaded when a push ends
/// early is found again by the next. Spec: OCI distribution-spec v1.1, "Push".
///
/// @param target  A registry's name with a tag.
/// @return Errc::denied (with the way to log in), corrupt: a blob of the store is damaged, or the
///         registry took other bytes; not_found, timed_out, cancelled, failed
Result<PushResult> push(const ImageLayout& store, const StoredImage& image,
                        const ImageReference& target, const PushOptions& options);

/// Which repositories of `registry` are known to have which blobs, by the names in the store.
Result<std::map<Digest, std::vector<std::string>>> blobs_elsewhere(const ImageStore& store,
                                                                   const std::string& registry);

}  // namespace locald::oci
