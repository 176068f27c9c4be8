#include "oci/registry/registry_session.h"

#include <curl/curl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <utility>

#include "base/json/json.h"
#include "base/strings.h"
#include "oci/registry/www_authenticate.h"

namespace locald::oci {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxTokenBody = 1u << 20;
constexpr std::size_t kMaxErrorBody = 64u << 10;  // a registry's JSON error is a few hundred bytes
constexpr int kMaxRedirects = 10;
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

/// The first error of a registry's JSON error body: {"CODE", "message"}.
std::pair<std::string, std::string> read_error(const std::string& body) {
  auto document = Json::parse(body);
  if (!document) return {};
  const auto& errors = (*document)["errors"].as_array();
  if (errors.empty()) return {"", printable((*document)["details"].as_string(), 200)};
  return {printable(errors[0]["code"].as_string(), 60),
          printable(errors[0]["message"].as_string(), 200)};
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool changes_something(RegistrySession::Method method) {
  return method != RegistrySession::Method::get && method != RegistrySession::Method::head;
}

/// Any of them may be the answer to a question that was never put there.
bool may_follow(RegistrySession::Method method, long status) {
  return !changes_something(method) || status == 307 || status == 308;
}

/// What a server says of itself, not of what it was asked: another time it may answer.
bool passes(long status) {
  return status == 429 || (status >= 500 && status != 501 && status != 505);
}

/// "60 s", "2 min", "250 ms"
std::string time_text(milliseconds time) {
  const auto s = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  if (s >= 120) return std::to_string((s + 59) / 60) + " min";
  return s >= 1 ? std::to_string(s) + " s" : std::to_string(time.count()) + " ms";
}

/// The first words of a page: tags and runs of blanks left out.
std::string first_words(std::string_view body) {
  std::string out;
  bool tag = false;
  for (const char c : body.substr(0, 4096)) {
    if (c == '<') tag = true;
    const bool blank = tag || c <= ' ' || c == 0x7f;
    if (c == '>') tag = false;
    if (!blank)
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  return printable(out, 80);
}

}  // namespace

bool looks_like_json(std::string_view body) { return trim(body).starts_with('{'); }

Error not_json(const std::string& host, const std::string& what, const std::string& content_type,
               std::string_view body) {
  const std::string type = printable(content_type, 60), words = first_words(body);
  return Error(Errc::invalid_input, host + " answered " +
                                        (type.empty() ? "" : "with " + type + " ") +
                                        (trim(body).empty() ? "(nothing)" : "(\"" + words + "\")") +
                                        " instead of " + what)
      .with_hint(
          "is that a registry? A proxy or a login page may answer in its place: curl -i "
          "https://" +
          host + "/v2/");
}

std::string printable(std::string_view text, std::size_t max) {
  std::string out;
  for (const char c : trim(text).substr(0, max)) out += c >= ' ' && c < 0x7f ? c : ' ';
  return out;
}

std::optional<std::int64_t> retry_after_seconds(const std::string& value, std::int64_t now_unix) {
  const std::string text(trim(value));
  if (text.empty()) return std::nullopt;
  if (text.find_first_not_of("0123456789") == std::string::npos)
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(parse_u64(text).value_or(UINT64_MAX), 1u << 30));
  const std::time_t when = curl_getdate(text.c_str(), nullptr);
  if (when < 0) return std::nullopt;
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(when) - now_unix);
}

RegistrySession::RegistrySession(ImageReference reference, Options options,
                                 std::vector<std::string> scopes)
    : reference_(std::move(reference)),
      options_(std::move(options)),
      scopes_(std::move(scopes)),
      http_({.stop = options_.stop, .stall = options_.stall}) {}

std::string RegistrySession::login_advice() const {
  if (!options_.login_hint.empty()) return options_.login_hint;
  return "log in (the logins of podman and docker are read too): locald login " +
         reference_.registry;
}

Result<void> RegistrySession::find_base() {
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
  auto answer = http_.send({probe, {}});
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

Result<void> RegistrySession::wait(milliseconds time, const std::string& why,
                                   const std::string& tries) {
  if (options_.note)
    options_.note(why + "; next try in " + time_text(time) +
                  (tries.empty() ? "" : " (" + tries + ")"));
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, options_.stop, time, [] { return false; });
  if (options_.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
  return {};
}

Result<std::string> RegistrySession::fetch_token(const std::string& realm,
                                                 const std::string& service) {
  Url url = TRY(check_realm(*base_, realm));
  char separator = url.target.find('?') == std::string::npos ? '?' : '&';
  for (const std::string& scope : scopes_)
    url.target += std::exchange(separator, '&') + ("scope=" + escape(scope));
  if (!service.empty()) url.target += "&service=" + escape(service);
  std::vector<std::string> headers;
  if (options_.login && realm_may_see_login(*base_, url))
    headers.push_back("Authorization: Basic " +
                      base64(options_.login->user + ":" + options_.login->password));
  auto answer = http_.send({url, headers});
  TRY(answer->start().context("token service"));
  if (answer->status() == 401 || answer->status() == 403)
    return Error(Errc::denied, "the token service " + url.host_port() + " refuses " +
                                   (options_.login ? "the login" : "access without a login"))
        .with_hint(login_advice());
  if (answer->status() !=
      200)  // a redirect too: tokens come from where the registry said, or not at all
    return Error(
        passes(answer->status()) ? Errc::unavailable : Errc::failed,
        "the token service " + url.host_port() + " answered " + std::to_string(answer->status()));
  const std::string body = TRY(answer->body(kMaxTokenBody).context("token service"));
  const auto parsed = Json::parse(body);
  if (!parsed || !parsed->is_object())
    return not_json(url.host_port(), "a token", answer->header("content-type"), body);
  const Json& document = *parsed;
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
Result<std::string> RegistrySession::new_authorization(const std::string& challenge_header) {
  for (const Challenge& challenge : parse_www_authenticate(challenge_header)) {
    auto param = [&challenge](const char* key) {
      const auto found = challenge.params.find(key);
      return found == challenge.params.end() ? std::string() : found->second;
    };
    if (challenge.scheme == "bearer" && !param("realm").empty()) {
      // The scope we need, not what the challenge asks for: a token is worth what it opens.
      return fetch_token(param("realm"), param("service"));
    }
    if (challenge.scheme == "basic" && options_.login)
      return "Basic " + base64(options_.login->user + ":" + options_.login->password);
  }
  return Error(Errc::denied, reference_.registry + " requires a login").with_hint(login_advice());
}

Error RegistrySession::refusal(HttpStream& answer, const Wanted& wanted) const {
  const long status = answer.status();
  const std::string body = answer.some_body(kMaxErrorBody);
  auto [code, message] = read_error(body);
  // Not a registry's words: a proxy's page says who speaks.
  if (code.empty() && message.empty() && !looks_like_json(body)) message = first_words(body);
  const std::string said = " (" + std::to_string(status) + (code.empty() ? "" : " " + code) +
                           (message.empty() ? "" : ": " + message) + ")";
  const std::string& host = reference_.registry;
  const bool pushing = changes_something(wanted.method);
  if (status == 401 || status == 403)
    return Error(Errc::denied,
                 host + (pushing ? " does not take " : " does not give ") + wanted.what + said)
        .with_hint((pushing ? "may you write to " + reference_.repository + "? "
                            : "either it does not exist or it needs a login: check the name; ") +
                   login_advice());
  if (status == 404)
    return Error(Errc::not_found,
                 pushing ? host + " has no place for " + wanted.what + said
                         : wanted.what + " was not found in the registry " + host + said)
        .with_hint("check name and tag: " + reference_.familiar());
  if (status == 429) {
    const auto asked = retry_after_seconds(answer.header("retry-after"), std::time(nullptr));
    return Error(Errc::unavailable, "rate limited by " + host + said)
        .with_hint(
            "try again in " +
            (asked && *asked > 0 ? time_text(std::chrono::seconds(*asked)) : "some minutes") +
            "; with a login the limit is often higher: " + login_advice());
  }
  return Error(passes(status) ? Errc::unavailable : Errc::failed,
               host + " answered with an error for " + wanted.what + said)
      .with_hint(status < 500 ? "" : "the registry is in trouble: try again later");
}

Result<Url> RegistrySession::resolve(const Wanted& asked, const std::string& location) {
  const std::lock_guard guard(mutex_);
  Url from = asked.url ? *asked.url : *base_;
  if (!asked.url) from.target = asked.target;
  return check_redirect(*base_, from, location);
}

Result<std::unique_ptr<HttpStream>> RegistrySession::open(const Wanted& wanted, bool* transient) {
  if (transient != nullptr) *transient = false;
  TRY(find_base());
  bool renewed = false;
  int redirects = 0;
  milliseconds waited{0};
  const auto start_url = [&] {
    Url url = wanted.url ? *wanted.url : *base_;
    if (!wanted.url) url.target = wanted.target;
    return url;
  };
  Url url = start_url();
  for (int tries = 1;;) {
    HttpClient::Request request{url, wanted.headers, wanted.method};
    unsigned used = 0;
    {
      const std::lock_guard guard(mutex_);
      used = authorization_number_;
      if (!authorization_.empty() && url.origin() == base_->origin())
        request.headers.push_back("Authorization: " + authorization_);
    }
    if (wanted.body) {
      request.body = TRY(wanted.body());
      request.body_bytes = wanted.body_bytes;
    }
    auto answer = http_.send(std::move(request));
    auto started = answer->start();
    const long status = started ? answer->status() : 0;
    if (std::find(wanted.good.begin(), wanted.good.end(), status) != wanted.good.end())
      return answer;

    if (!started || status == 429 || status >= 500) {
      const bool worth_it = started ? passes(status) : answer->transient();
      milliseconds pause = options_.first_pause * (1 << (tries - 1));
      bool too_long = false;
      if (started)
        if (const auto asked =
                retry_after_seconds(answer->header("retry-after"), std::time(nullptr))) {
          too_long = std::chrono::seconds(*asked) > kLongestWait;
          pause = std::max<milliseconds>(pause, std::clamp(std::chrono::seconds(*asked),
                                                           std::chrono::seconds(0), kLongestPause));
        }
      too_long = too_long || waited + pause > kLongestWait;
      if (!worth_it || too_long || tries >= wanted.tries) {
        if (transient != nullptr) *transient = worth_it;
        if (!started) return std::move(started).error();
        return refusal(*answer, wanted);
      }
      const std::string why = status == 429 ? "rate limited by " + reference_.registry
                              : started
                                  ? reference_.registry + " answered " + std::to_string(status)
                                  : started.error().message();
      answer.reset();
      waited += pause;
      TRY(wait(pause, why, std::to_string(++tries) + " of " + std::to_string(wanted.tries)));
      // From the start: a redirect's target may have been what failed, or be out of date.
      url = start_url();
      redirects = 0;
      continue;
    }
    if (is_redirect(status) && may_follow(wanted.method, status)) {
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
    return refusal(*answer, wanted);
  }
}

}  // namespace locald::oci
