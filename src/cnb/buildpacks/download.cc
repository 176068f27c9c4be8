#include "cnb/buildpacks/download.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "base/sys/sys.h"
#include "oci/registry/http.h"

namespace locald::cnb {
namespace {

constexpr int kMaxTries = 3;
constexpr int kMaxRedirects = 10;
constexpr std::chrono::milliseconds kPause{500};  // before the second try; doubled
constexpr const char* kHint =
    "is the address right, and can this machine reach it? Try: curl -fLO ";

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}
bool worth_another_try(long status) { return status == 429 || status >= 500; }

class Downloader {
 public:
  Downloader(const Download& what, int fd)
      : what_(what), fd_(fd), http_(oci::HttpClient::Options{}) {}

  Result<Downloaded> run() {
    std::chrono::milliseconds pause = kPause;
    for (int tries = 1;; ++tries, pause *= 2) {
      auto done = once();
      if (done || !again_ || tries == kMaxTries) return done;
      std::this_thread::sleep_for(pause);
    }
  }

 private:
  Result<Downloaded> once() {
    again_ = false;
    oci::Url url = what_.url;
    for (int hops = 0;; ++hops) {
      oci::HttpClient::Request request{url, {}};
      if (!what_.etag.empty()) request.headers.push_back("If-None-Match: " + what_.etag);
      const auto answer = http_.send(std::move(request));
      if (auto started = answer->start(); !started) return broken(*answer, started.error());
      const long status = answer->status();
      if (status == 304 && !what_.etag.empty()) return Downloaded{true, what_.etag};
      if (status == 200) return take(*answer);
      if (!is_redirect(status)) return refused(status, url);
      if (hops == kMaxRedirects)
        return Error(Errc::failed, without_query(what_.url) + " redirects more than " +
                                       std::to_string(kMaxRedirects) + " times");
      url = TRY(oci::check_redirect(what_.url, url, answer->header("location")));
    }
  }

  Result<Downloaded> take(oci::HttpStream& answer) {
    const std::uint64_t total = parse_u64(answer.header("content-length")).value_or(0);
    if (total > what_.max_bytes) return too_big();
    if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0)
      return Error::from_errno(errno, "write the download");
    std::uint64_t done = 0;
    while (true) {
      const auto chunk = answer.read();
      if (!chunk) return broken(answer, chunk.error());
      if (chunk->empty()) break;
      done += chunk->size();
      if (done > what_.max_bytes) return too_big();
      TRY(sys::write_all(fd_, {reinterpret_cast<const char*>(chunk->data()), chunk->size()})
              .context("write the download"));
      if (what_.progress) what_.progress(done, total);
    }
    return Downloaded{false, answer.header("etag")};
  }

  Error broken(const oci::HttpStream& answer, const Error& error) {
    again_ = answer.transient();
    // Its own hints are about registries.
    return Error(error.code(), error.message()).with_hint(kHint + without_query(what_.url));
  }
  Error refused(long status, const oci::Url& url) {
    again_ = worth_another_try(status);
    const Errc code = status == 404 || status == 410   ? Errc::not_found
                      : status == 401 || status == 403 ? Errc::denied
                                                       : Errc::failed;
    return Error(code, without_query(url) + " answers " + std::to_string(status))
        .with_hint(kHint + without_query(what_.url));
  }
  Error too_big() const {
    return Error(Errc::invalid_input,
                 without_query(what_.url) + " is larger than " + human_bytes(what_.max_bytes))
        .with_hint("a buildpack of that size is taken from a registry: docker://…");
  }

  const Download& what_;
  int fd_;
  oci::HttpClient http_;
  bool again_ = false;
};

}  // namespace

std::string without_query(const oci::Url& url) {
  const std::string text = url.str();
  return text.substr(0, text.find('?'));
}

Result<Downloaded> download(const Download& what, int fd) { return Downloader(what, fd).run(); }

}  // namespace locald::cnb
