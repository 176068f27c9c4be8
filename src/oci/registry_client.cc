#include "oci/registry_client.h"

#include <curl/curl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <condition_variable>
#include <ctime>

#include "base/json.h"
#include "base/strings.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/www_authenticate.h"

namespace locald::oci {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxTokenBody = 1u << 20;
constexpr std::size_t kMaxErrorBody = 64u << 10;  // a registry's JSON error is a few hundred bytes
constexpr int kMaxTries = 5;
constexpr int kMaxRedirects = 10;
constexpr int kMaxResumes = 20;
constexpr std::chrono::seconds kLongestPause{60};

std::string escape(const std::string& text) {
  char* escaped = curl_easy_escape(nullptr, text.c_str(), static_cast<int>(text.size()));
  std::string out = escaped == nullptr ? std::string() : std::string(escaped);
  curl_free(escaped);
  return out;
}

std::string base64(const std::string& text) {
  std::string out((text.size() + 2) / 3 * 4 + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(text.data()),
                                static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

/// What may stand in a header and in a terminal.
std::string printable(std::string_view text, std::size_t max) {
  std::string out;
  for (const char c : trim(text).substr(0, max)) out += c >= ' ' && c < 0x7f ? c : ' ';
  return out;
}

/// The first error of a registry's JSON error body: {"CODE", "message"}.
std::pair<std::string, std::string> read_error(const std::string& body) {
  auto document = Json::parse(body);
  if (!document) return {};
  const auto& errors = (*document)["errors"].as_array();
  if (errors.empty()) return {"", printable((*document)["details"].as_string(), 200)};
  return {printable(errors[0]["code"].as_string(), 60),
          printable(errors[0]["message"].as_string(), 200)};
}

std::string reference_of(const ImageReference& reference, const std::string& tag_or_digest) {
  const bool digest = tag_or_digest.find(':') != std::string::npos;
  ImageReference bare = reference;
  bare.tag = digest ? "" : tag_or_digest;
  bare.digest.reset();
  return bare.familiar() + (digest ? "@" + tag_or_digest : "");
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

std::optional<std::chrono::seconds> parse_retry_after(const std::string& value,
                                                      std::int64_t now_unix) {
  const std::string text(trim(value));
  if (text.empty()) return std::nullopt;
  std::int64_t seconds = 0;
  if (text.find_first_not_of("0123456789") == std::string::npos) {
    seconds = static_cast<std::int64_t>(
        std::min<std::uint64_t>(parse_u64(text).value_or(UINT64_MAX), 1u << 30));
  } else {
    const std::time_t when = curl_getdate(text.c_str(), nullptr);
    if (when < 0) return std::nullopt;
    seconds = static_cast<std::int64_t>(when) - now_unix;
  }
  return std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), kLongestPause);
}

/// A blob under way: opens the rest again where a connection broke.
class BlobDownload final : public ByteSource {
 public:
  BlobDownload(RegistryClient& client, RegistryClient::Wanted wanted, Descriptor blob)
      : client_(client), wanted_(std::move(wanted)), blob_(std::move(blob)) {}

  Result<void> open() {
    const std::uint64_t position = wanted_.offset;
    stream_ = TRY(client_.open(wanted_));
    skip_ = 0;
    std::uint64_t announced = blob_.size_bytes - position;
    if (stream_->status() == 206) {
      // "bytes 5-9/10": what comes must be what was asked for.
      const std::string range = stream_->header("content-range");
      const auto first =
          parse_u64(range.substr(std::min<std::size_t>(range.size(), 6),
                                 range.find('-') - std::min<std::size_t>(range.size(), 6)));
      if (range.substr(0, 6) != "bytes " || first != position)
        return Error(Errc::corrupt,
                     "the registry sent another part of the blob than asked for (\"" +
                         printable(range, 60) + "\")");
    } else {
      skip_ = position;  // no ranges here: what we have comes once more
      announced = blob_.size_bytes;
    }
    const auto length = parse_u64(stream_->header("content-length"));
    if (length && *length != announced)
      return Error(Errc::corrupt, "the registry sends " + std::to_string(*length) +
                                      " bytes for a blob that the manifest gives " +
                                      std::to_string(blob_.size_bytes));
    return {};
  }

  Result<std::span<const std::byte>> read() override {
    while (true) {
      auto chunk = stream_->read();
      if (chunk && !chunk->empty()) {
        const auto dropped =
            static_cast<std::size_t>(std::min<std::uint64_t>(skip_, chunk->size()));
        skip_ -= dropped;
        if (chunk->size() == dropped) continue;
        wanted_.offset += chunk->size() - dropped;
        return chunk->subspan(dropped);
      }
      if (chunk && wanted_.offset >= blob_.size_bytes) return chunk;
      const bool broken = !chunk && stream_->transient();
      if (!chunk && !broken) return chunk;
      // The connection broke, or the body ended too early.
      const std::uint64_t got = wanted_.offset;
      if (++resumes_ > kMaxResumes || got == last_break_) {
        if (++fruitless_ > 3 || resumes_ > kMaxResumes) {
          const std::string why = chunk ? "the registry ended the body" : chunk.error().message();
          return Error(chunk ? Errc::failed : chunk.error().code(),
                       "got " + std::to_string(got) + " of " + std::to_string(blob_.size_bytes) +
                           " bytes of " + blob_.digest.str() + ": " + why)
              .with_hint("try again: the download goes on where it broke");
        }
      } else {
        fruitless_ = 0;
      }
      last_break_ = got;
      TRY(client_.wait(client_.options_.first_pause * (1 << std::min(fruitless_, 4)),
                       "the download broke at " + human_bytes(got)));
      stream_.reset();
      TRY(open());
    }
  }

 private:
  RegistryClient& client_;
  RegistryClient::Wanted wanted_;
  Descriptor blob_;
  std::unique_ptr<HttpStream> stream_;
  std::uint64_t skip_ = 0;
  std::uint64_t last_break_ = UINT64_MAX;
  int resumes_ = 0;
  int fruitless_ = 0;
};

RegistryClient::RegistryClient(const ImageReference& reference, Options options)
    : reference_(reference),
      options_(std::move(options)),
      http_({.stop = options_.stop, .stall = options_.stall}) {}

Result<void> RegistryClient::find_base() {
  const std::lock_guard guard(mutex_);
  if (base_) return {};
  const std::string host =
      reference_.registry == "docker.io" ? "registry-1.docker.io" : reference_.registry;
  const Url secure = TRY(Url::parse("https://" + host + "/"));
  if (classify_host(secure.host) != HostClass::loopback) {
    base_ = secure;
    return {};
  }
  // On loopback http comes first, as an anonymous question; a port that speaks TLS says so.
  Url probe = TRY(Url::parse("http://" + host + "/"));
  probe.target = "/v2/";
  auto answer = http_.get({probe, {}});
  if (auto started = answer->start(); !started) {
    if (!answer->protocol_mismatch()) return started;
    base_ = secure;
    return {};
  }
  const bool tls = answer->status() == 400 || (is_redirect(answer->status()) &&
                                               answer->header("location").substr(0, 6) == "https:");
  if (tls) {
    base_ = secure;
  } else {
    probe.target = "/";
    base_ = probe;
  }
  return {};
}

Result<void> RegistryClient::wait(milliseconds time, const std::string& why) {
  if (options_.note)
    options_.note("waiting " +
                  (time.count() >= 1000 ? std::to_string(time.count() / 1000) + " s"
                                        : std::to_string(time.count()) + " ms") +
                  ": " + why);
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, options_.stop, time, [] { return false; });
  if (options_.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
  return {};
}

Result<std::string> RegistryClient::fetch_token(const std::string& realm,
                                                const std::string& service,
                                                const std::string& scope) {
  Url url = TRY(check_realm(*base_, realm));
  url.target += url.target.find('?') == std::string::npos ? "?" : "&";
  url.target += "scope=" + escape(scope);
  if (!service.empty()) url.target += "&service=" + escape(service);
  std::vector<std::string> headers;
  if (options_.login && realm_may_see_login(*base_, url))
    headers.push_back("Authorization: Basic " +
                      base64(options_.login->user + ":" + options_.login->password));
  auto answer = http_.get({url, headers});
  TRY(answer->start().context("token service"));
  if (answer->status() == 401 || answer->status() == 403)
    return Error(Errc::denied, "the token service " + url.host_port() + " refuses " +
                                   (options_.login ? "the login" : "access without a login"))
        .with_hint("locald login " + reference_.registry);
  if (answer->status() !=
      200)  // a redirect too: tokens come from where the registry said, or not at all
    return Error(Errc::failed, "the token service " + url.host_port() + " answered " +
                                   std::to_string(answer->status()));
  const std::string body = TRY(answer->body(kMaxTokenBody).context("token service"));
  const Json document = TRY(Json::parse(body).context("token service"));
  std::string token = document["token"].as_string();
  if (token.empty()) token = document["access_token"].as_string();
  const bool usable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (token.empty() || !usable)
    return Error(Errc::invalid_input,
                 "the token service " + url.host_port() + " sent no usable token");
  return "Bearer " + token;
}

/// Called with mutex_ held.
Result<std::string> RegistryClient::new_authorization(const std::string& challenge_header) {
  for (const Challenge& challenge : parse_www_authenticate(challenge_header)) {
    auto param = [&challenge](const char* key) {
      const auto found = challenge.params.find(key);
      return found == challenge.params.end() ? std::string() : found->second;
    };
    if (challenge.scheme == "bearer" && !param("realm").empty()) {
      // The scope we need, not what the challenge asks for: a token is worth what it opens.
      return fetch_token(param("realm"), param("service"),
                         "repository:" + reference_.repository + ":pull");
    }
    if (challenge.scheme == "basic" && options_.login)
      return "Basic " + base64(options_.login->user + ":" + options_.login->password);
  }
  return Error(Errc::denied, reference_.registry + " wants a login")
      .with_hint("locald login " + reference_.registry);
}

Error RegistryClient::refusal(HttpStream& answer, const std::string& what) const {
  const long status = answer.status();
  const auto [code, message] = read_error(answer.some_body(kMaxErrorBody));
  const std::string said = " (" + std::to_string(status) + (code.empty() ? "" : " " + code) +
                           (message.empty() ? "" : ": " + message) + ")";
  const std::string& host = reference_.registry;
  if (status == 401 || status == 403)
    return Error(Errc::denied, host + " does not give " + what + said)
        .with_hint("either it does not exist or it needs a login: check the name; locald login " +
                   host);
  if (status == 404)
    return Error(Errc::not_found, what + " was not found in the registry " + host + said)
        .with_hint("check name and tag: " + reference_.familiar());
  if (status == 429)
    return Error(Errc::failed, host + " limits how much is pulled" + said)
        .with_hint("wait some minutes, or log in: locald login " + host);
  return Error(Errc::failed, host + " answered with an error for " + what + said)
      .with_hint("the registry is in trouble: try again later");
}

Result<std::unique_ptr<HttpStream>> RegistryClient::open(const Wanted& wanted) {
  TRY(find_base());
  const std::string what =
      wanted.target.find("/blobs/") == std::string::npos
          ? reference_of(reference_, wanted.target.substr(wanted.target.rfind('/') + 1))
          : "the blob " + wanted.target.substr(wanted.target.rfind('/') + 1) + " of " +
                reference_.repository;
  bool renewed = false;
  int redirects = 0;
  Url url = *base_;
  url.target = wanted.target;
  for (int tries = 1;;) {
    HttpClient::Request request{url, {}};
    if (!wanted.accept.empty()) request.headers.push_back("Accept: " + wanted.accept);
    if (wanted.offset != 0)
      request.headers.push_back("Range: bytes=" + std::to_string(wanted.offset) + "-");
    unsigned used = 0;
    {
      const std::lock_guard guard(mutex_);
      used = authorization_number_;
      if (!authorization_.empty() && url.origin() == base_->origin())
        request.headers.push_back("Authorization: " + authorization_);
    }
    auto answer = http_.get(std::move(request));
    auto started = answer->start();
    const long status = started ? answer->status() : 0;
    if (status == 200 || status == 206) return answer;

    if (!started || status == 429 || status >= 500) {
      const bool worth_it = started ? status != 501 && status != 505 : answer->transient();
      if (!worth_it || tries >= kMaxTries) {
        if (!started) return std::move(started).error();
        return refusal(*answer, what);
      }
      milliseconds pause = options_.first_pause * (1 << (tries - 1));
      if (started)
        if (const auto wanted_pause =
                parse_retry_after(answer->header("retry-after"), std::time(nullptr)))
          pause = std::max<milliseconds>(pause, *wanted_pause);
      const std::string why = started ? reference_.registry + " answered " + std::to_string(status)
                                      : started.error().message();
      answer.reset();
      TRY(wait(pause,
               why + ", try " + std::to_string(++tries) + " of " + std::to_string(kMaxTries)));
      // From the start: a redirect's target may have been what failed, or be out of date.
      url = *base_;
      url.target = wanted.target;
      redirects = 0;
      continue;
    }
    if (is_redirect(status)) {
      if (++redirects > kMaxRedirects)
        return Error(Errc::failed, reference_.registry + " redirects in circles");
      (void)answer->some_body(kMaxErrorBody);  // read to its end, the connection serves again
      url = TRY(check_redirect(*base_, url, answer->header("location")));
      continue;
    }
    if (status == 401 && url.origin() == base_->origin() && !renewed) {
      renewed = true;
      const std::string challenge = answer->header("www-authenticate");
      (void)answer->some_body(kMaxErrorBody);
      const std::lock_guard guard(mutex_);
      if (authorization_number_ == used) {
        authorization_ = TRY(new_authorization(challenge));
        ++authorization_number_;
      }
      continue;
    }
    return refusal(*answer, what);
  }
}

Result<FetchedDocument> RegistryClient::manifest(const std::string& tag_or_digest) {
  static const std::string accept = std::string(kOciIndex) + ", " + std::string(kOciManifest) +
                                    ", " + std::string(kDockerManifestList) + ", " +
                                    std::string(kDockerManifest);
  auto answer = TRY(open({"/v2/" + reference_.repository + "/manifests/" + tag_or_digest, accept}));
  std::string bytes = TRY(answer->body(kMaxManifestBytes)
                              .context("manifest of " + reference_of(reference_, tag_or_digest)));
  Digest digest = Digest::of(bytes);
  // The digest that was asked for decides; without one, the registry's own word must hold.
  const bool by_digest = tag_or_digest.find(':') != std::string::npos;
  const std::string promised = by_digest ? tag_or_digest : answer->header("docker-content-digest");
  if (!promised.empty() && promised.substr(0, 7) == "sha256:" && promised != digest.str())
    return Error(Errc::corrupt, reference_.registry +
                                    " sent another manifest than it promised: want " +
                                    printable(promised, 80) + ", got " + digest.str())
        .with_hint("nothing was stored; try again, and tell the registry's owner if it stays so");
  return FetchedDocument{std::move(bytes), answer->header("content-type"), std::move(digest)};
}

Result<std::unique_ptr<ByteSource>> RegistryClient::blob(const Descriptor& blob,
                                                         std::uint64_t offset) {
  auto download = std::make_unique<BlobDownload>(
      *this, Wanted{"/v2/" + reference_.repository + "/blobs/" + blob.digest.str(), "", offset},
      blob);
  TRY(download->open());
  return std::unique_ptr<ByteSource>(std::move(download));
}

}  // namespace locald::oci
