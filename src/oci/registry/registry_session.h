#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/archive/byte_source.h"
#include "oci/ref/reference.h"
#include "oci/registry/credentials.h"
#include "oci/registry/http.h"
#include "oci/registry/url.h"

namespace locald::oci {

/// Talks to one registry about one repository: where it is, who we are to it, what is worth
/// another try. What is said is RegistryClient's and RegistryPush's.
///
/// https always; plain http to loopback alone, where http is tried first.
/// Anonymous, with a bearer token or a login; what goes where on redirects and
/// to token services: oci/registry/url.h. 429 and 5xx are tried again (5 times, Retry-After up to a minute,
/// kLongestWait in all); who is asked to wait for longer is told so at once.
/// Thread-safe.
class RegistrySession {
 public:
  struct Options {
    std::stop_token stop;
    std::optional<Credentials> login;
    std::string login_hint;  ///< why there is no login ("… keeps it in a helper"); may be empty
    std::function<void(const std::string&)>
        note;  ///< "rate limited by HOST; next try in 60 s (2 of 5)"; any thread
    std::chrono::milliseconds stall{60'000};
    std::chrono::milliseconds first_pause{250};  ///< before the second try; doubled each time
  };
  /// @param scopes  What tokens are asked for: "repository:team/app:pull,push", …
  RegistrySession(ImageReference reference, Options options, std::vector<std::string> scopes);

  using Method = HttpClient::Method;
  struct Wanted {
    std::string target;  ///< on the registry: "/v2/…"
    std::string what;    ///< for people: "the blob sha256:… of team/app"
    Method method = Method::get;
    std::vector<std::string> headers = {};
    std::optional<Url> url = std::nullopt;  ///< instead of `target`: where the registry sent us
    /// Makes the body, once for each try.
    std::function<Result<std::unique_ptr<ByteSource>>()> body = {};
    std::uint64_t body_bytes = 0;
    /// The answers that are given back; others are errors. Default: 200 and 206.
    std::vector<long> good = {200, 206};
    int tries = 5;
  };
  /// An answer of `good`, after tokens, redirects and retries. Answers to post, put and patch
  /// redirect by 307 and 308 alone.
  /// @param transient  After an error: may the same go well when it is done again? May be null.
  /// @return Errc::denied, not_found, timed_out, cancelled, failed, …; the body's own error
  Result<std::unique_ptr<HttpStream>> open(const Wanted& wanted, bool* transient = nullptr);

  /// `location`, where `answer` to a request for `asked` sends us (an upload's session).
  /// @return Errc::denied where oci/registry/url.h says so.
  Result<Url> resolve(const Wanted& asked, const std::string& location);

  /// Says `why` and when the next try is, and sleeps. @param tries  "2 of 5"; may be empty.
  /// @return Errc::cancelled.
  Result<void> wait(std::chrono::milliseconds time, const std::string& why,
                    const std::string& tries = "");

  const ImageReference& reference() const noexcept { return reference_; }
  const Options& options() const noexcept { return options_; }

 private:
  Result<void> find_base();
  Result<std::string> new_authorization(const std::string& challenge_header);
  Result<std::string> fetch_token(const std::string& realm, const std::string& service);
  Error refusal(HttpStream& answer, const Wanted& wanted) const;
  std::string login_advice() const;

  ImageReference reference_;
  Options options_;
  std::vector<std::string> scopes_;
  HttpClient http_;
  std::mutex mutex_;                   // of all below
  std::optional<Url> base_;            // "https://host:port/"
  std::string authorization_;          // the header's value; sent to base_'s origin alone
  unsigned authorization_number_ = 0;  // counts them, so that threads do not renew one another's
};

/// Seconds from now that a Retry-After asks for, written as seconds or as an HTTP date; at most
/// 2^30, nullopt if unreadable.
std::optional<std::int64_t> retry_after_seconds(const std::string& value, std::int64_t now_unix);

/// The longest that one request waits in all because a registry is busy.
inline constexpr std::chrono::seconds kLongestWait{120};

/// `body` is not JSON where a registry was to answer `what`: says what came in its place (content
/// type, first words), since that names the proxy or the login page that answered.
Error not_json(const std::string& host, const std::string& what, const std::string& content_type,
               std::string_view body);

/// True for what begins as a JSON object does.
bool looks_like_json(std::string_view body);

/// What may stand in a header and in a terminal.
std::string printable(std::string_view text, std::size_t max);

}  // namespace locald::oci
