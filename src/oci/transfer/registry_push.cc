#include "oci/transfer/registry_push.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "base/sys/unique_fd.h"
#include "oci/spec/manifest.h"
#include "oci/transfer/upload_source.h"

namespace locald::oci {
namespace {

using Method = RegistrySession::Method;
using Wanted = RegistrySession::Wanted;
using PushPhase = PushProgress::Phase;

constexpr const char* kBytes = "Content-Type: application/octet-stream";
constexpr std::chrono::milliseconds kTellEvery{50};
constexpr std::size_t kMaxMounts = 3;  // repositories that are asked for one blob
constexpr int kMaxBreaks = 20, kMaxFruitless = 3;
constexpr long kWrongRange = 416;
constexpr long kTooLarge = 413;  // for the registry, or for a proxy before it
constexpr std::size_t kMaxAnswer = 64u << 10;

class Push {
 public:
  Push(const ImageLayout& store, const StoredImage& image, const ImageReference& target,
       const PushOptions& options)
      : store_(store),
        image_(image),
        target_(target),
        options_(options),
        base_("/v2/" + target.repository + "/"),
        session_(target, session_options(), scopes()) {
    std::set<Digest> seen;
    for (const Descriptor& layer : image.manifest.layers)
      if (seen.insert(layer.digest).second) blobs_.push_back(layer);
    blobs_.push_back(image.manifest.config);
  }

  Result<PushResult> run() {
    const std::string manifest =
        TRY(store_.read_document(image_.manifest_digest, kMaxManifestBytes));
    for (const Descriptor& blob : blobs_)
      if (!store_.has_blob(blob))
        return Error(Errc::not_found,
                     "the image's blob " + blob.digest.str() + " is not in the store")
            .with_hint("locald image pull " + image_.name);
    // The first alone, so that one thread finds out how to log in.
    TRY(send(blobs_[0]));
    next_ = 1;
    std::vector<std::thread> threads;
    const std::size_t count = std::min<std::size_t>(options_.parallel_blobs, blobs_.size() - 1);
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    if (error_) return std::move(*error_);
    if (options_.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    TRY(put_manifest(manifest));
    tell({.phase = PushPhase::finished});
    return result_;
  }

 private:
  RegistrySession::Options session_options() {
    RegistrySession::Options out;
    out.stop = stop_.get_token();
    out.login = options_.login;
    out.login_hint = options_.login_hint;
    out.note = [this](const std::string& note) {
      tell({.phase = PushPhase::waiting, .note = note});
    };
    out.stall = options_.stall;
    out.first_pause = options_.first_pause;
    return out;
  }

  std::vector<std::string> scopes() const {
    std::vector<std::string> out = {"repository:" + target_.repository + ":pull,push"};
    std::set<std::string> others;
    for (const Descriptor& layer : image_.manifest.layers)
      if (const auto known = options_.elsewhere.find(layer.digest);
          known != options_.elsewhere.end())
        others.insert(known->second.begin(), known->second.end());
    others.erase(target_.repository);
    for (const std::string& other : others) out.push_back("repository:" + other + ":pull");
    return out;
  }

  void tell(PushProgress progress) {
    if (!options_.progress) return;
    const std::lock_guard guard(tell_mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (progress.phase == PushPhase::uploading && progress.done != 0 &&
        progress.done != progress.total && now - told_ < kTellEvery)
      return;
    told_ = now;
    progress.blobs_done = blobs_done_;
    progress.blobs_total = static_cast<unsigned>(blobs_.size());
    options_.progress(progress);
  }

  void work() {
    for (std::size_t i = next_++; i < blobs_.size(); i = next_++) {
      if (stop_.stop_requested()) return;
      auto sent = send(blobs_[i]);
      if (sent) continue;
      const std::lock_guard guard(mutex_);
      // The others end because of it, and have nothing to add.
      if (!error_) error_ = std::move(sent).error();
      stop_.request_stop();
      return;
    }
  }

  void done(const Descriptor& blob, const char* how, unsigned PushResult::*count) {
    {
      const std::lock_guard guard(mutex_);
      ++(result_.*count);
    }
    ++blobs_done_;
    tell({.phase = PushPhase::blob_done,
          .layer = blob.digest.short_hex(),
          .done = blob.size_bytes,
          .total = blob.size_bytes,
          .note = how});
  }

  Result<void> send(const Descriptor& blob) {
    // A redirect leads to where it is, so it is there.
    const auto there = TRY(session_.open({.target = base_ + "blobs/" + blob.digest.str(),
                                          .what = what(blob),
                                          .method = Method::head,
                                          .good = {200, 404, 301, 302, 303, 307, 308}}));
    if (there->status() != 404) {
      done(blob, "was there", &PushResult::there_before);
      return {};
    }
    std::optional<Url> session;  // of an upload, where the registry has opened one by the way
    if (TRY(mount(blob, session))) {
      done(blob, "mounted", &PushResult::mounted);
      return {};
    }
    TRY(upload(blob, std::move(session)));
    {
      const std::lock_guard guard(mutex_);
      result_.uploaded_bytes += blob.size_bytes;
    }
    done(blob, "uploaded", &PushResult::uploaded);
    return {};
  }

  /// True if the registry has taken the blob over from another repository.
  Result<bool> mount(const Descriptor& blob, std::optional<Url>& session) {
    const auto known = options_.elsewhere.find(blob.digest);
    if (known == options_.elsewhere.end()) return false;
    std::size_t asked = 0;
    for (const std::string& from : known->second) {
      if (from == target_.repository || asked++ == kMaxMounts) continue;
      const Wanted wanted{
          .target = base_ + "blobs/uploads/?mount=" + blob.digest.str() + "&from=" + from,
          .what = what(blob),
          .method = Method::post,
          .good = {201, 202}};
      const auto answer = session_.open(wanted);
      // A client that may not read there sends the bytes.
      if (!answer && answer.error().code() == Errc::denied) continue;
      if (!answer && answer.error().code() == Errc::not_found) continue;
      if (!answer) return answer.error();
      if ((*answer)->status() == 201) return true;
      session = TRY(session_.resolve(wanted, (*answer)->header("location")));
    }
    return false;
  }

  Result<Url> open_upload(const Descriptor& blob) {
    const Wanted wanted{.target = base_ + "blobs/uploads/",
                        .what = what(blob),
                        .method = Method::post,
                        .good = {202}};
    const auto answer = TRY(session_.open(wanted));
    return session_.resolve(wanted, answer->header("location"));
  }

  Result<void> upload(const Descriptor& blob, std::optional<Url> at) {
    if (!at) at = TRY(open_upload(blob));
    tell({.layer = blob.digest.short_hex(), .total = blob.size_bytes});
    bool transient = false;
    // In one piece, once; a login that ran out costs a second time.
    const auto whole = session_.open({.what = what(blob),
                                      .method = Method::put,
                                      .headers = {kBytes},
                                      .url = with_digest(*at, blob),
                                      .body = whole_body(blob),
                                      .body_bytes = blob.size_bytes,
                                      .good = {201, 204, kTooLarge},
                                      .tries = 1},
                                     &transient);
    if (whole && (*whole)->status() != kTooLarge)
      return check_answer(**whole, blob.digest, what(blob));
    if (!whole && !transient) return whole.error();
    if (!whole) TRY(session_.wait(options_.first_pause, whole.error().message()));
    TRY(verify(blob));  // pieces are not
    return upload_in_pieces(blob, TRY(open_upload(blob)));
  }

  Result<void> upload_in_pieces(const Descriptor& blob, Url at) {
    std::uint64_t offset = 0, piece = options_.chunk_bytes, furthest = 0;
    int breaks = 0, fruitless = 0;
    while (offset < blob.size_bytes) {
      const std::uint64_t end = std::min(offset + piece, blob.size_bytes);
      const Wanted wanted{.what = what(blob),
                          .method = Method::patch,
                          .headers = {kBytes, "Content-Range: " + std::to_string(offset) + "-" +
                                                  std::to_string(end - 1)},
                          .url = at,
                          .body = part_body(blob, offset, end),
                          .body_bytes = end - offset,
                          .good = {202, 204, kWrongRange},
                          .tries = 1};
      bool transient = false;
      auto answer = session_.open(wanted, &transient);
      if (!answer && !transient) return std::move(answer).error();
      std::string why = answer ? "the registry wants another part" : answer.error().message();
      if (answer && (*answer)->status() != kWrongRange) {
        if (const std::string location = (*answer)->header("location"); !location.empty())
          at = TRY(session_.resolve(wanted, location));
        if (const auto least = parse_u64((*answer)->header("oci-chunk-min-length")))
          piece = std::max(piece, *least);
        const std::uint64_t before = offset;
        offset = std::min(end_of_range((*answer)->header("range")).value_or(end), blob.size_bytes);
        if (offset > before) continue;
        why = "the registry has taken nothing";
      }
      fruitless = offset <= furthest && breaks > 0 ? fruitless + 1 : 0;
      furthest = std::max(furthest, offset);
      if (++breaks > kMaxBreaks || fruitless > kMaxFruitless)
        return Error(answer ? Errc::failed : answer.error().code(),
                     "the upload of " + blob.digest.str() + " failed repeatedly at " +
                         human_bytes(offset) + ": " + why)
            .with_hint("try again: the parts that the registry has are not sent again");
      TRY(session_.wait(options_.first_pause * (1 << fruitless),
                        "the upload was interrupted at " + human_bytes(offset) + ": " + why));
      TRY(ask(blob, at, offset));
    }
    const auto answer = TRY(session_.open({.what = what(blob),
                                           .method = Method::put,
                                           .url = with_digest(at, blob),
                                           .good = {201, 204}}));
    return check_answer(*answer, blob.digest, what(blob));
  }

  /// Where the upload's session stands; a new one where it is gone.
  Result<void> ask(const Descriptor& blob, Url& at, std::uint64_t& offset) {
    const Wanted wanted{.what = what(blob), .url = at, .good = {204, 404}};
    const auto answer = TRY(session_.open(wanted));
    if (answer->status() == 404) {
      at = TRY(open_upload(blob));
      offset = 0;
      return {};
    }
    if (const std::string location = answer->header("location"); !location.empty())
      at = TRY(session_.resolve(wanted, location));
    offset = std::min(end_of_range(answer->header("range")).value_or(0), blob.size_bytes);
    return {};
  }

  /// "0-41", also as "bytes=0-41": 42 bytes. "0-0" is nothing with most registries.
  static std::optional<std::uint64_t> end_of_range(const std::string& range) {
    const std::size_t dash = range.rfind('-');
    if (dash == std::string::npos) return std::nullopt;
    const auto last = parse_u64(range.substr(dash + 1));
    if (!last) return std::nullopt;
    return *last == 0 ? 0 : *last + 1;
  }

  Told told(const Descriptor& blob) {
    return [this, &blob](std::uint64_t position) {
      tell({.layer = blob.digest.short_hex(), .done = position, .total = blob.size_bytes});
    };
  }

  using Body = std::function<Result<std::unique_ptr<ByteSource>>()>;
  Body whole_body(const Descriptor& blob) {
    return [this, &blob]() -> Result<std::unique_ptr<ByteSource>> {
      return whole_source(TRY(store_.open_verified(blob)), blob.size_bytes, told(blob));
    };
  }
  Body part_body(const Descriptor& blob, std::uint64_t from, std::uint64_t to) {
    return [this, &blob, from, to]() -> Result<std::unique_ptr<ByteSource>> {
      return part_source(TRY(store_.open_blob(blob.digest)), from, to, told(blob));
    };
  }

  Result<void> verify(const Descriptor& blob) const {
    const auto source = TRY(store_.open_verified(blob));
    while (!TRY(source->read()).empty())
      if (stop_.stop_requested()) return Error(Errc::cancelled, "cancelled");
    return {};
  }

  static Url with_digest(Url at, const Descriptor& blob) {
    at.target += at.target.find('?') == std::string::npos ? '?' : '&';
    at.target += "digest=" + blob.digest.str();
    return at;
  }

  Result<void> check_answer(HttpStream& answer, const Digest& digest, const std::string& what) {
    const std::string said = answer.header("docker-content-digest");
    (void)answer.some_body(kMaxAnswer);
    if (said.empty() || said == digest.str()) return {};
    return Error(Errc::corrupt,
                 target_.registry + " took other bytes for " + what + ": " + printable(said, 80));
  }

  Result<void> put_manifest(const std::string& manifest) {
    const std::string what = target_.familiar();
    const auto answer = TRY(session_.open(
        {.target = base_ + "manifests/" + target_.tag,
         .what = what,
         .method = Method::put,
         .headers = {"Content-Type: " + image_.manifest.media_type},
         .body = [&]() -> Result<std::unique_ptr<ByteSource>> { return text_source(manifest); },
         .body_bytes = manifest.size(),
         .good = {200, 201, 202}}));
    return check_answer(*answer, image_.manifest_digest, what);
  }

  std::string what(const Descriptor& blob) const {
    return "the blob " + blob.digest.str() + " of " + target_.repository;
  }

  const ImageLayout& store_;
  const StoredImage& image_;
  const ImageReference& target_;
  const PushOptions& options_;
  std::string base_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> chain_{options_.stop, [this] { stop_.request_stop(); }};
  std::vector<Descriptor> blobs_;
  std::mutex tell_mutex_;  // of told_, and one caller at a time
  std::chrono::steady_clock::time_point told_;
  std::atomic<unsigned> blobs_done_{0};
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;  // of the two below
  PushResult result_;
  std::optional<Error> error_;
  RegistrySession session_;
};

}  // namespace

std::string_view to_string(PushProgress::Phase phase) noexcept {
  switch (phase) {
    case PushPhase::waiting:
      return "waiting";
    case PushPhase::uploading:
      return "uploading";
    case PushPhase::blob_done:
      return "blob done";
    case PushPhase::finished:
      return "finished";
  }
  return "";
}

Result<PushResult> push(const ImageLayout& store, const StoredImage& image,
                        const ImageReference& target, const PushOptions& options) {
  if (!target.is_registry() || target.digest || target.tag.empty())
    return Error(Errc::invalid_input, "an image is pushed to a registry's name with a tag, which " +
                                          target.name() + " is not");
  return Push(store, image, target, options).run().context("push " + target.familiar());
}

Result<std::map<Digest, std::vector<std::string>>> blobs_elsewhere(const ImageStore& store,
                                                                   const std::string& registry) {
  std::map<Digest, std::vector<std::string>> out;
  for (const StoredImage& image : TRY(store.list())) {
    const auto name = ImageReference::parse(image.name);
    if (!name || !name->is_registry() || name->registry != registry) continue;
    for (const Descriptor& layer : image.manifest.layers) {
      std::vector<std::string>& repositories = out[layer.digest];
      if (std::find(repositories.begin(), repositories.end(), name->repository) ==
          repositories.end())
        repositories.push_back(name->repository);
    }
  }
  return out;
}

}  // namespace locald::oci
