#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "oci/byte_source.h"
#include "oci/credentials.h"
#include "oci/descriptor.h"
#include "oci/http.h"
#include "oci/reference.h"
#include "oci/url.h"

namespace locald::oci {

/// A manifest or index as the registry sent it.
struct FetchedDocument {
  std::string bytes;
  std::string content_type;
  Digest digest;  ///< of `bytes`: computed here, and checked against whatever was promised
};

/// Reads one repository of one registry, by the OCI distribution-spec (pull).
///
/// https always; plain http to loopback alone, where http is tried first.
/// Anonymous, with a bearer token or a login; what goes where on redirects and
/// to token services: oci/url.h. 429 and 5xx are tried again (5 times, Retry-After up to a minute),
/// broken downloads go on where they broke. Thread-safe.
class RegistryClient {
 public:
  struct Options {
    std::stop_token stop;
    std::optional<Credentials> login;
    std::function<void(const std::string&)>
        note;  ///< "waiting 3 s: the registry is busy (429)"; any thread
    std::chrono::milliseconds stall{60'000};
    std::chrono::milliseconds first_pause{250};  ///< before the second try; doubled each time
  };
  RegistryClient(const ImageReference& reference, Options options);

  /// @param tag_or_digest  "7" or "sha256:…"
  /// @return Errc::not_found (no such tag), denied, corrupt (other bytes than the digest), …
  Result<FetchedDocument> manifest(const std::string& tag_or_digest);

  /// The blob's bytes from `offset` on; size and hash are the reader's to verify.
  Result<std::unique_ptr<ByteSource>> blob(const Descriptor& blob, std::uint64_t offset);

  const std::string& host() const noexcept { return reference_.registry; }

 private:
  friend class BlobDownload;
  struct Wanted {
    std::string target;
    std::string accept;  ///< may be empty
    std::uint64_t offset = 0;
  };
  /// An answer of 200 or 206, after tokens, redirects and retries.
  Result<std::unique_ptr<HttpStream>> open(const Wanted& wanted);
  Result<void> find_base();
  Result<std::string> new_authorization(const std::string& challenge_header);
  Result<std::string> fetch_token(const std::string& realm, const std::string& service,
                                  const std::string& scope);
  Error refusal(HttpStream& answer, const std::string& what) const;
  Result<void> wait(std::chrono::milliseconds time, const std::string& why);

  ImageReference reference_;
  Options options_;
  HttpClient http_;
  std::mutex mutex_;                   // of all below
  std::optional<Url> base_;            // "https://host:port/"
  std::string authorization_;          // the header's value; sent to base_'s origin alone
  unsigned authorization_number_ = 0;  // counts them, so that threads do not renew one another's
};

/// Seconds or an HTTP date as in Retry-After, from `now`; at most a minute, nullopt if unreadable.
std::optional<std::chrono::seconds> parse_retry_after(const std::string& value,
                                                      std::int64_t now_unix);

}  // namespace locald::oci
